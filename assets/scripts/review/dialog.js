// Modal dialogs. Only the topmost one closes at Escape, and the keys of Review rest while one is open.

import { button, h } from './dom.js';
import { part } from './page.js';

// Opens a dialog; `close(value)` ends it. Resolves with that value, or undefined after Escape.
export function openDialog(title, fill, { wide = false } = {}) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: `rv-dialog${wide ? ' rv-wide-dialog' : ''}`, 'aria-label': title });
    let result;
    const close = (value) => {
      result = value;
      dialog.close();
    };
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(result);
    });
    dialog.append(h('h2', {}, title), ...fill(close, dialog));
    part('page').append(dialog);
    dialog.showModal();
  });
}

export function confirmed(title, sentences, verb) {
  return openDialog(title, (close) => [
    ...sentences.map((sentence) => h('p', {}, sentence)),
    h(
      'div',
      { class: 'rv-dialog-acts' },
      button(verb, { class: 'rv-small rv-strong', autofocus: true }, () => close(true)),
      button('Cancel', {}, () => close(false)),
    ),
  ]);
}
