// Shows messages above the buttons. Errors stay until the user closes them; confirmations disappear after seconds.

import { button, h } from './dom.js';
import { part } from './page.js';

function message(kind, words, actions = []) {
  const box = h('div', { class: `rv-message rv-${kind}`, role: kind === 'error' ? 'alert' : 'status' }, ...words);
  for (const [label, act] of actions) {
    box.append(
      button(label, {}, () => {
        box.remove();
        act();
      }),
    );
  }
  box.append(button('Close', { class: 'rv-link' }, () => box.remove()));
  return box;
}

export function showError(words, actions) {
  const box = message('error', [h('strong', {}, words.problem), ` ${words.remedy}`], actions);
  part('messages').replaceChildren(box);
}

// Stays until the user closes it: another reviewer decided otherwise.
export function showConflict(text, actions) {
  part('messages').replaceChildren(message('error', [h('strong', {}, 'Conflict: '), text], actions));
}

let closing = null;

export function showMessage(text, actions = []) {
  const box = message('done', [text], actions);
  part('messages').replaceChildren(box);
  clearTimeout(closing);
  closing = setTimeout(() => box.remove(), actions.length ? 20000 : 5000);
}
