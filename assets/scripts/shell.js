// The top of the page: its buttons, the menu of runs with its two dialogs, and the address of the page.
// Buttons anywhere on the page name the tab to open in data-tab, and state on which data set the model was fine-tuned
// in data-statement. Event: click {tab, statement, run, open, project, rename, title, remove, compare, differ, other,
// dismiss}; Python ignores what is ''.

import { get, onChange, set } from './address.js';

const FIRST_TAB = 'review'; // as in bye_core/ui/tabs/__init__.py

export function start({ element, trigger }) {
  const send = (facts) => trigger('click', facts);
  const dialog = document.createElement('dialog');
  dialog.className = 'bye-dialog';
  document.body.append(dialog);

  function ask(title, words, field, verb, then) {
    const form = document.createElement('form');
    form.method = 'dialog';
    const heading = Object.assign(document.createElement('h3'), { textContent: title, id: 'bye-dialog-title' });
    const text = Object.assign(document.createElement('p'), { textContent: words });
    const input = Object.assign(document.createElement('input'), { type: 'text', maxLength: 80, value: field || '' });
    input.setAttribute('aria-label', title);
    const cancel = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Cancel' });
    const yes = Object.assign(document.createElement('button'), { type: 'submit', textContent: verb, className: 'bye-yes' });
    const buttons = document.createElement('div');
    buttons.append(cancel, yes);
    form.append(heading, ...(words ? [text] : []), ...(field === null ? [] : [input]), buttons);
    cancel.addEventListener('click', () => dialog.close());
    form.addEventListener('submit', () => then(input.value));
    dialog.setAttribute('aria-labelledby', heading.id);
    dialog.replaceChildren(form);
    dialog.showModal();
    if (field !== null) input.select();
    else cancel.focus();
  }

  function rename({ rename: run, title }) {
    ask('Rename the run', 'Links and commands keep the folder’s name.', title, 'Rename', (value) =>
      send({ rename: run, title: value }),
    );
  }

  function remove({ delete: run, title }) {
    const words = `“${title}” is deleted with its scan and all decisions. This cannot be undone.`;
    ask('Delete the run?', words, null, 'Delete', () => send({ remove: run }));
  }

  // The menu of runs closes with Escape and with a click elsewhere.
  const menu = () => element.querySelector('.bye-switcher[open]');
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu() || dialog.open) return;
    menu().querySelector('summary').focus();
    menu().open = false;
  });

  document.addEventListener('click', (event) => {
    if (menu() && !menu().contains(event.target) && !dialog.contains(event.target)) menu().open = false;
    const button = event.target.closest(
      '[data-tab], [data-statement], [data-open-run], [data-project], [data-rename], [data-delete], [data-compare], ' +
        '[data-differ], [data-dismiss]',
    );
    if (!button || button.closest('[role="tab"]')) return;
    const { tab, part, statement, of, openRun, project, compare, differ, other, dismiss } = button.dataset;
    if (menu()) menu().open = false;
    if (button.dataset.rename) rename(button.dataset);
    else if (button.dataset.delete) remove(button.dataset);
    else {
      if (statement) button.disabled = true;
      send({ tab, statement, run: of, open: openRun, project, compare, differ, other, dismiss });
      if (part) scrollTo(part);
    }
  });

  // --- the address -------------------------------------------------------------------------------------------------

  const tabs = document.getElementById('tabs');
  const shownTab = () => tabs.querySelector('[role="tab"][aria-selected="true"]')?.dataset.tabId || '';
  const shownRun = () => element.querySelector('.bye-header')?.dataset.run;
  let going = ''; // the tab of the address, until it is in front
  let known = false; // whether the visitor's run is on the page
  let chosen = false; // whether the user has chosen a tab, which then counts more than the address

  function followTab() {
    const tab = shownTab();
    if (!known || !tab) return;
    if (going && tab !== going) return;
    going = '';
    if (tab !== (get('tab') || FIRST_TAB)) set({ tab }, { push: true });
  }

  function followRun() {
    const run = shownRun();
    if (known) document.documentElement.toggleAttribute('data-first', Boolean(element.querySelector('.bye-welcome')));
    if (!known || run === undefined || run === get('run')) return;
    set({ run }, { move: true });
  }

  function begin() {
    if (known || !('known' in document.documentElement.dataset) || shownRun() === undefined) return;
    known = true;
    // A link to an unknown run is corrected; a page without a link gets the name of its run. Neither is a step back.
    if (shownRun() !== get('run')) set({ run: shownRun() }, { push: false, move: true });
    if (chosen || !get('tab')) followTab();
    else openTab(get('tab'));
  }

  function openTab(tab) {
    if (tab === shownTab()) return;
    going = tab;
    send({ tab });
  }

  // A tab that the user chooses is final, even if the address's tab is still on its way.
  const settle = (event) => {
    if (!event.target.closest('[role="tab"], .overflow-dropdown')) return;
    going = '';
    chosen = true;
  };
  tabs.addEventListener('click', settle, true);
  chosen = shownTab() !== FIRST_TAB; // before this script was there
  onChange((changed) => {
    if (changed.has('tab')) openTab(get('tab') || FIRST_TAB);
    if (!changed.has('run') || get('run') === shownRun()) return;
    if (get('run')) send({ open: get('run') });
    else set({ run: shownRun() }, { push: false, move: true });
  });

  function scrollTo(part) {
    const wait = (left) => {
      const target = document.getElementById(`part-${part}`);
      if (target?.checkVisibility()) {
        target.focus({ preventScroll: true });
        target.scrollIntoView({ behavior: 'smooth' });
      } else if (left) requestAnimationFrame(() => wait(left - 1));
    };
    wait(120);
  }

  new MutationObserver(begin).observe(document.documentElement, { attributeFilter: ['data-known'] });
  new MutationObserver(() => {
    begin();
    followRun();
  }).observe(element, { childList: true, subtree: true, attributes: true, attributeFilter: ['data-run'] });
  new MutationObserver(followTab).observe(tabs, { subtree: true, attributeFilter: ['aria-selected'] });
  begin();
}
