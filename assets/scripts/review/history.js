// The history of decisions: each step with who made it, and a button that undoes it or makes it again.

import { done, redoStep, undoStep } from './decisions.js';
import { openDialog } from './dialog.js';
import { button, count, h } from './dom.js';
import { showError } from './messages.js';
import { call, wordsOf } from './requests.js';
import { openPosition, outbox } from './review.js';
import { state } from './state.js';

export async function openHistory() {
  let close = () => {};
  const steps = h('ol', { class: 'rv-steps' });
  const hint = h('p', { class: 'rv-hint', role: 'status' }, 'Reading the history ...');
  const fill = async () => {
    try {
      await outbox.idle();
      const answer = await call('review_history', state.context, {});
      hint.textContent = answer.total
        ? `${count(answer.total, 'step')}, newest first${answer.total > answer.steps.length ? `; the first ${answer.steps.length} are shown` : ''}.`
        : 'No decision has been made yet.';
      steps.replaceChildren(...answer.steps.map((step) => row(step)));
    } catch (error) {
      close();
      showError(wordsOf(error), [['Try again', openHistory]]);
    }
  };
  const act = async (event, change) => {
    for (const one of steps.querySelectorAll('button')) one.disabled = true;
    await change();
    await fill();
    (steps.querySelector(`[data-batch="${event.batch}"] .rv-turn`) || steps.querySelector('.rv-turn'))?.focus();
  };
  const row = (step) => {
    const what = `${step.choice ? done(step.choice) : 'decided'} ${step.count === 1 ? '' : count(step.count, 'sample')}`;
    const open = () => {
      close();
      openPosition(step.position);
    };
    return h(
      'li',
      { 'data-batch': step.batch, class: step.valid ? '' : 'rv-undone' },
      h(
        'span',
        { class: 'rv-step-words' },
        h('b', {}, step.reviewer || 'no name'),
        ` ${what}`,
        step.count === 1 ? button(step.id, { class: 'rv-link', 'aria-label': `Open ${step.id}` }, open) : null,
        step.valid ? null : h('em', {}, undoneWords(step.undone)),
        h('small', {}, h('time', { datetime: step.time }, when(step.time)), step.note ? `: ${step.note}` : ''),
      ),
      step.valid
        ? button('Undo', { class: 'rv-small rv-turn' }, () => act(step, () => undoStep(step.batch)))
        : button('Redo', { class: 'rv-small rv-turn' }, () => act(step, () => redoStep(step.batch))),
    );
  };
  await openDialog('History of decisions', (end) => {
    close = end;
    fill();
    return [
      hint,
      steps,
      h(
        'div',
        { class: 'rv-dialog-acts' },
        button('Close', { autofocus: true }, () => end()),
      ),
    ];
  });
}

const undoneWords = ({ by, time }) => ` (undone${by ? ` by ${by}` : ''}${time ? `, ${when(time)}` : ''})`;

const when = (time) => (time ? new Date(time).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' }) : '');
