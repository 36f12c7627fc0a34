// Shows why the sample is flagged: its suspected spot beside the mean spot, how over-represented its answer is, and the
// causal check. Requested only after the sample has been shown for a moment.

import { button, count, h, percent, Recent } from './dom.js';
import { trigger } from './page.js';
import { call, wordsOf } from './requests.js';
import { entered, state } from './state.js';

const WHY_AFTER = 500; // ms; no request is sent if the user moves on earlier

export class Why {
  constructor() {
    this.holder = h('section', { class: 'rv-why', 'data-part': 'why', 'aria-label': 'Why', hidden: true });
    this.known = new Recent(40);
    this.shown = 0;
  }

  async show(sample) {
    const number = ++this.shown;
    this.holder.hidden = false;
    this.holder.replaceChildren(h('h3', {}, 'Why'), h('p', { class: 'rv-hint' }, 'Comparing with the flagged samples ...'));
    await entered;
    await new Promise((go) => {
      setTimeout(go, WHY_AFTER);
    });
    if (number !== this.shown) return;
    const key = `${state.context.run}/${state.listing ? state.listing.stamp : ''}/${sample.position}`;
    try {
      const answer = this.known.get(key) || (await call('review_why', state.context, { position: sample.position }));
      // Without a causal check, request again next time: a check may have ended in the meantime.
      if (answer.cause) this.known.set(key, answer);
      if (number === this.shown) this.fill(sample, answer);
    } catch (error) {
      if (number !== this.shown) return;
      const words = wordsOf(error);
      this.holder.replaceChildren(h('h3', {}, 'Why'), h('p', { class: 'rv-hint' }, `${words.problem} ${words.remedy}`));
    }
  }

  fill(sample, why) {
    this.holder.hidden = Boolean(why.nothing);
    if (why.nothing) return;
    const more = button('Open the dossier', { class: 'rv-link' }, () => trigger('dossier'));
    this.holder.replaceChildren(
      h('h3', {}, 'Why', more),
      this.spots(sample, why),
      h('p', {}, h('b', {}, 'Its answer: '), `${why.answer}.`),
      this.cause(why),
    );
  }

  spots(sample, { spot, mean, layer }) {
    const figure = (src, words, alt) => h('figure', {}, src ? h('img', { src, alt }) : null, h('figcaption', {}, words));
    const own = !spot
      ? h('p', { class: 'rv-hint' }, 'The run has no attention rows for this sample.')
      : figure(
          spot.src,
          spot.error
            ? spot.error.problem
            : spot.padding
              ? 'The attention peaks on padding outside the image.'
              : `Attention peak in layer ${layer}: ${percent(spot.share)} on one cell`,
          `Suspected spot of ${sample.id}`,
        );
    return h(
      'div',
      { class: 'rv-spots' },
      own,
      mean ? figure(mean.src, `Mean of ${count(mean.of, 'flagged sample')}`, 'Mean of the suspected spots') : null,
    );
  }

  covered(parts) {
    if (!parts.length) return null;
    const shown = parts.map((src) => h('img', { src, alt: 'A covered area' }));
    return h('figure', { class: 'rv-covered' }, ...shown, h('figcaption', {}, 'Covered areas'));
  }

  cause({ cause, can_check: can }) {
    if (!cause) {
      return can
        ? h(
            'p',
            { class: 'rv-hint' },
            'Not checked yet: the answer of the model when this spot is covered. ',
            button('Ask the model', { class: 'rv-link' }, () => trigger('dossier')),
          )
        : null;
    }
    const rows = cause.given.map(([way, said]) => h('tr', {}, h('th', { scope: 'row' }, way), h('td', {}, said || '(nothing)')));
    return h(
      'div',
      { class: 'rv-cause', 'data-outcome': cause.outcome },
      h('p', {}, cause.words),
      this.covered(cause.covered),
      h(
        'table',
        { class: 'rv-numbers rv-given' },
        h('caption', {}, 'Answers of the model in the causal check'),
        h('tbody', {}, ...rows),
      ),
    );
  }
}
