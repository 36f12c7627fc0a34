// The reviewer's name: asked once, after the first decision, without holding up the keys.

import { storedValue, storeValue } from './dom.js';
import { part } from './page.js';

export const reviewer = () => part('reviewer').value.trim();

function save(name) {
  part('reviewer').value = name;
  part('name-field').value = name;
  storeValue('reviewer', name);
  part('name').hidden = true;
}

export function askName() {
  if (reviewer() || storedValue('name-asked', '')) return;
  storeValue('name-asked', 'yes');
  part('name').hidden = false;
}

export function startName() {
  save(storedValue('reviewer', ''));
  part('reviewer').addEventListener('change', () => save(reviewer()));
  part('name').addEventListener('submit', (event) => {
    event.preventDefault();
    save(part('name-field').value.trim());
  });
  part('no-name').addEventListener('click', () => {
    part('name').hidden = true;
  });
  part('name-field').addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    part('name').hidden = true;
  });
}
