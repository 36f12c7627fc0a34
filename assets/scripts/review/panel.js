// Shows the facts about one sample: its texts, why it is flagged, and a typical sample to compare it with.

import { button, count, h, percent } from './dom.js';
import { Viewer } from './figure.js';
import { cellBox, cellName, isPadding, paintCrop } from './heatmap.js';
import { Inspector } from './inspect.js';
import { decidedBits, stateOf } from './list.js';
import { FLAGGED, SUSPECT } from './page.js';
import { Why } from './why.js';

// A first token of blanks says nothing about the answer: some tokenizers put one before the first word.
function firstToken({ token, probability }) {
  if (token === null || (token && !token.trim())) return [];
  return [
    h('dt', {}, 'Model’s own first token (probability)'),
    h('dd', {}, h('code', { class: 'rv-token' }, token || '(a special token without text)'), ` ${percent(probability)}`),
  ];
}

export class Panel {
  // act: {question(position), answer(position), compare(), back()}
  constructor(holder, act) {
    this.holder = holder;
    this.act = act;
    this.state = h('p', { class: 'rv-chips' });
    this.typical = h('div', { class: 'rv-typical' });
    this.compare = new Viewer(h('div', { class: 'rv-figures rv-small-figures' }), 'typical sample');
    this.scale = h('p', { class: 'rv-caption' });
    this.compare.onpainted = (_maps, top) => {
      this.scale.textContent = `Not flagged, ${this.same ? 'same' : 'nearest'} question${top ? `; largest share ${percent(top.share)}` : ''}`;
    };
    this.crop = h('canvas', { class: 'rv-crop', width: 160, height: 160, role: 'img' });
    this.why = new Why();
    this.inspector = new Inspector();
    this.peak = h('div', { class: 'rv-peak' }, h('h3', {}, 'Peak'), this.crop, h('p', { class: 'rv-caption' }));
  }

  // `back`: the sample to which the user can return, or null
  show(sample, bits, back = null) {
    this.sample = sample;
    this.mark(bits);
    this.peak.hidden = true;
    this.holder.replaceChildren(
      h(
        'div',
        { class: 'rv-head' },
        back ? button(`Back to ${back.id}`, { class: 'rv-link rv-back' }, () => this.act.back()) : null,
        h('h2', { class: 'rv-title' }, sample.id),
        this.state,
        this.texts(sample),
      ),
      h(
        'div',
        { class: 'rv-rest' },
        h('p', {}, sample.summary),
        h('div', { class: 'rv-compare' }, this.typical, this.peak),
        this.numbers(sample),
        this.inspector.holder,
        this.why.holder,
        this.details(sample),
      ),
    );
    this.inspector.show(sample);
    this.why.show(sample);
  }

  mark(bits) {
    const state = stateOf(bits);
    const score = this.sample.score === null ? 'no score' : `score ${this.sample.score.toFixed(3)}`;
    const chips = [
      h(
        'span',
        { class: `rv-chip rv-${bits & FLAGGED ? 'flagged' : 'plain'}` },
        `${bits & FLAGGED ? '▲ flagged' : bits & SUSPECT ? '△ worth a look' : '○ not flagged'}, ${score}`,
      ),
    ];
    if (decidedBits(bits))
      chips.push(h('span', { class: `rv-chip rv-${state.kind}` }, `${state.shape} ${state.note || state.word}`));
    const by = this.sample.decision;
    if (by?.reviewer && decidedBits(bits)) chips.push(h('span', { class: 'rv-by' }, `by ${by.reviewer}`));
    this.state.replaceChildren(...chips);
  }

  texts(sample) {
    const more = (number, label, go) =>
      number > 1 ? button(`${label} (${number.toLocaleString('en')})`, { class: 'rv-link' }, go) : null;
    return h(
      'dl',
      { class: 'rv-texts' },
      h(
        'dt',
        {},
        'Question',
        more(sample.same_question, 'Show same question', () => this.act.question(sample.position)),
      ),
      h('dd', {}, sample.question || '(empty)'),
      h(
        'dt',
        {},
        'Answer in the data set',
        more(sample.same_answer, 'Show same answer', () => this.act.answer(sample.position)),
      ),
      h('dd', { class: 'rv-answer' }, sample.answer || '(empty)'),
      ...firstToken(sample),
    );
  }

  numbers(sample) {
    const head = ['', 'here', 'typical'].map((text) => h('th', { scope: 'col' }, text));
    const rows = sample.facts.map((fact) =>
      h('tr', {}, h('th', { scope: 'row' }, fact.label), h('td', {}, fact.value), h('td', {}, fact.typical || '–')),
    );
    return h('table', { class: 'rv-numbers' }, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows));
  }

  // `top`: the cell with the largest share in the maps shown; `image`: the image of this cell.
  showPeak(top, image, layers) {
    this.peak.hidden = !top || !image;
    if (this.peak.hidden) return;
    const [left, up, right, bottom] = cellBox(top.grid, top.row, top.column, image.naturalWidth, image.naturalHeight);
    this.crop.height = Math.round((this.crop.width * (bottom - up)) / (right - left));
    paintCrop(this.crop, image, top, top.grid);
    const where = cellName(top);
    this.crop.setAttribute('aria-label', `The image around ${where.toLowerCase()}`);
    this.crop.title = `Peak of ${layers}: ${where.toLowerCase()}`;
    const beside = isPadding(top.grid, top.row, top.column) ? ', on padding outside the image' : '';
    this.peak.lastChild.textContent = `${where}: ${percent(top.share)}${beside}`;
  }

  showTypical(compared, same, pictures, layers) {
    if (!compared) {
      this.typical.replaceChildren(
        h('p', { class: 'rv-hint' }, 'There is no sample to compare with: all other samples are flagged or rejected.'),
      );
      return;
    }
    const open = button('Open beside', { class: 'rv-link', title: 'Compare on one color scale (key C)' }, () =>
      this.act.compare(),
    );
    this.typical.replaceChildren(
      h('h3', {}, 'Typical', open),
      this.compare.holder,
      this.scale,
      h(
        'p',
        { class: 'rv-said' },
        ...(same ? [] : [h('em', {}, compared.question), h('br')]),
        compared.answer || '(empty answer)',
      ),
    );
    this.same = same;
    this.compare.layers = layers;
    if (this.compare.sample !== compared) this.compare.show(compared, pictures);
  }

  details(sample) {
    const turns = sample.turns.map((turn) => h('p', {}, h('b', {}, `${turn.role}: `), turn.text));
    return h(
      'div',
      { class: 'rv-details' },
      turns.length
        ? h('details', {}, h('summary', {}, `The whole conversation (${count(turns.length, 'message')})`), ...turns)
        : null,
      sample.reasons.length
        ? h(
            'details',
            {},
            h('summary', {}, 'Why this verdict on the data set'),
            h('ul', {}, ...sample.reasons.map((reason) => h('li', {}, reason))),
          )
        : null,
    );
  }
}
