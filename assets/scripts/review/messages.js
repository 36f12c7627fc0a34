// Shows messages above the buttons. Errors stay until the user closes them; confirmations disappear after seconds.

import { button, h } from './dom.js';
import { part } from './page.js';

function message(kind, words, actions = []) {
  const box = h('div', { class: `rv-message rv-${kind}`, role: kind === 'error' ? 'alert' : 'status' }, ...words);
  for (const [label, act, stays] of actions) {
    box.append(
      button(label, {}, () => {
        if (!stays) box.remove();
        act();
      }),
    );
  }
  box.append(button('Close', { class: 'rv-link' }, () => box.remove()));
  return box;
}

// Replaces all messages but the one about decisions that are not saved.
function show(box) {
  const unsaved = part('messages').querySelector('.rv-unsaved');
  part('messages').replaceChildren(...(unsaved ? [unsaved] : []), box);
}

const errorOf = (words, actions) => message('error', [h('strong', {}, words.problem), ` ${words.remedy}`], actions);

export const showError = (words, actions) => show(errorOf(words, actions));

// Stays until the user closes it or sends the decisions again: no other message replaces it.
export function showUnsaved(words, actions) {
  const box = errorOf(words, actions);
  box.classList.add('rv-unsaved');
  forgetUnsaved();
  part('messages').prepend(box);
}

// Removes that message, when another run is opened.
export const forgetUnsaved = () => part('messages').querySelector('.rv-unsaved')?.remove();

// Stays until the user closes it: another reviewer decided otherwise.
export function showConflict(text, actions) {
  show(message('error', [h('strong', {}, 'Conflict: '), text], actions));
}

let closing = null;

export function showMessage(text, actions = []) {
  const box = message('done', [text], actions);
  show(box);
  clearTimeout(closing);
  closing = setTimeout(() => box.remove(), actions.length ? 20000 : 5000);
}
