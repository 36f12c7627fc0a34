// Shows a second sample beside the current one, with one colour scale: a typical one, or one that the user has pinned.

import { button, h } from './dom.js';
import { followHead } from './heads.js';
import { layersOf } from './layers.js';
import { picturesOf, sampleAt } from './loading.js';
import { part } from './page.js';
import { beside, list, openPosition, showAgain, viewer } from './review.js';
import { state } from './state.js';

let compared = null; // 'typical': follows the current sample; a position: pinned; null: nothing

export const isComparing = () => compared !== null;

export function stopComparing() {
  compared = null;
  part('beside').hidden = true;
  part('own-head').hidden = true;
  part('pin').setAttribute('aria-pressed', 'false');
  beside.clear();
  viewer.paint();
}

export function compareTypical() {
  if (compared === 'typical') stopComparing();
  else {
    compared = 'typical';
    showAgain();
  }
}

export function togglePin() {
  if (typeof compared === 'number') {
    stopComparing();
    return;
  }
  if (list.current === null) return;
  compared = list.current;
  showAgain();
}

// Called with every sample that is shown. `left` returns whether the user has moved on.
export async function showBeside(sample, left) {
  if (compared === null) return;
  const position = compared === 'typical' ? sample.typical?.position : compared;
  if (position === undefined) {
    stopComparing();
    return;
  }
  const other = await sampleAt(position);
  if (left() || compared === null) return;
  const pinned = compared !== 'typical';
  part('pin').setAttribute('aria-pressed', String(pinned));
  part('own-head').textContent = `This sample: ${sample.id}`;
  part('own-head').hidden = false;
  part('beside-head').replaceChildren(
    h('span', {}, `${pinned ? 'Pinned' : 'Typical'}: ${other.id}, answer: ${other.answer || '(empty)'}`),
    button('Open', { class: 'rv-link', 'aria-label': `Open ${other.id}` }, () => {
      stopComparing();
      openPosition(other.position, sample);
    }),
    button(pinned ? 'Unpin' : 'Close', { class: 'rv-link' }, stopComparing),
  );
  part('beside').hidden = false;
  beside.name = `${pinned ? 'pinned' : 'typical'} sample ${other.id}`;
  beside.layers = layersOf();
  if (beside.sample !== other) beside.show(other, picturesOf(other));
  viewer.paint();
  followHead();
}

export function forgetComparison() {
  if (isComparing()) stopComparing();
  state.back = null;
}
