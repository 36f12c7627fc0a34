// Shows the model's own whole answers, before and after fine-tuning. The model is asked once, as a job; the run keeps
// the answers.

import { button, h } from './dom.js';
import { askHeadsAgain } from './heads.js';
import { call, wordsOf } from './requests.js';
import { list } from './review.js';
import { entered, state } from './state.js';

const AFTER = 500; // ms; no request is sent if the user moves on earlier
const EVERY = 1500; // ms between two looks at the running job
const TOGETHER = 12; // samples that are asked about at once: loading the model takes longest

export class Inspector {
  constructor() {
    this.holder = h('section', { class: 'rv-answers', 'data-part': 'answers', 'aria-label': 'Answers of the model' });
    this.shown = 0;
  }

  async show(sample) {
    const number = ++this.shown;
    this.holder.hidden = true;
    await entered;
    await pause(AFTER);
    let asked = false;
    while (number === this.shown) {
      const here = state.context;
      const answer = await call('review_inspection', here, { position: sample.position }).catch(() => null);
      if (number !== this.shown || here !== state.context || !answer) return;
      this.fill(sample, answer);
      if (asked && answer.answers) askHeadsAgain();
      if (!answer.running || answer.answers) return;
      asked = true;
      await pause(EVERY);
    }
  }

  fill(sample, { answers, running, failure, can_ask: can }) {
    this.holder.hidden = !(answers || running || can);
    const title = h('h3', {}, 'The model’s own answers');
    if (answers) {
      const row = (label, text) => [h('dt', {}, label), h('dd', {}, text === '' ? '(empty)' : text)];
      this.holder.replaceChildren(
        title,
        h(
          'dl',
          { class: 'rv-texts' },
          ...(answers.before === null ? [] : row('Before fine-tuning', answers.before)),
          ...(answers.answer === null ? [] : row('After fine-tuning', answers.answer)),
        ),
        answers.fault ? h('p', { class: 'rv-hint' }, answers.fault) : '',
      );
    } else if (running) {
      this.holder.replaceChildren(title, h('p', { class: 'rv-hint', role: 'status' }, 'Asking the model ...'));
    } else {
      this.holder.replaceChildren(
        title,
        h(
          'p',
          { class: 'rv-hint' },
          failure
            ? `${failure.problem} ${failure.remedy} `
            : 'Its whole answers before and after fine-tuning, and the map of each head. ',
          button('Ask the model', { class: 'rv-link', title: `Asks about this and the next ${TOGETHER - 1} samples` }, () =>
            this.ask(sample),
          ),
        ),
      );
    }
  }

  async ask(sample) {
    const positions = [sample.position, ...list.positions.subarray(list.cursor + 1, list.cursor + TOGETHER)];
    try {
      await call('review_inspect', state.context, { positions });
      this.show(sample);
    } catch (error) {
      const words = wordsOf(error);
      this.holder.append(h('p', { class: 'rv-hint', role: 'alert' }, `${words.problem} ${words.remedy}`));
    }
  }
}

const pause = (ms) => new Promise((go) => setTimeout(go, ms));
