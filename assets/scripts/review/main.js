// Starts Review, connects its buttons, fields and keys, and follows changes of the session.

import { compareTypical, forgetComparison, isComparing, stopComparing, togglePin } from './compare.js';
import { decide, decideMany, made, noteChanged, redo, undo } from './decisions.js';
import { h, storedValue, storeValue } from './dom.js';
import { enter, storeContext } from './enter.js';
import { SHOWS, teach } from './filters.js';
import { isUnfolded, startFit, unfold } from './fit.js';
import { chooseHead, forgetHead } from './heads.js';
import { drawing } from './heatmap.js';
import { openHistory } from './history.js';
import { chooseLayer, forgetLayer } from './layers.js';
import { followLook, linkedLook, linkedQuery, linkedSample, openById, startLinks } from './link.js';
import { forgetUnsaved } from './messages.js';
import { startName } from './name.js';
import { element, part, props, trigger, watch } from './page.js';
import { ask, choose, chooseView, grid, list, openIndex, outbox, repaint, showGrid } from './review.js';
import { unsaved } from './saving.js';
import { drafts, EVERYTHING, entered, markEntered, pictures, samples, state } from './state.js';
import { refreshMarks, startSync } from './sync.js';
import { openZoom } from './zoom.js';

function step(by) {
  openIndex(Math.min(list.positions.length - 1, Math.max(0, list.cursor + by)));
}

function skip() {
  const next = list.nextUndecided();
  if (next >= 0 && next !== list.cursor) openIndex(next);
  else step(1);
}

const inGrid = () => !part('grid').hidden;
const rowStep = (by) => step(by * (inGrid() ? grid.columns : 1));

const KEYS = {
  a: () => decide('accept'),
  r: () => decide('reject'),
  s: skip,
  u: undo,
  'shift+u': redo,
  j: () => step(1),
  k: () => step(-1),
  x: () => list.cursor >= 0 && list.select(list.cursor, !list.selected.has(list.current), false),
  h: () => part('heat').click(),
  z: openZoom,
  c: compareTypical,
  p: togglePin,
  g: () => showGrid(!inGrid()),
  arrowdown: () => rowStep(1),
  arrowright: () => step(1),
  arrowup: () => rowStep(-1),
  arrowleft: () => step(-1),
};
const ONCE = ['a', 'r', 's', 'u', 'shift+u', 'x', 'h', 'z', 'c', 'p', 'g']; // these keys do not repeat while they are held down

function typing(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.closest('textarea, select, [contenteditable=""], [contenteditable="true"]')) return true;
  const field = target.closest('input');
  if (!field) return Boolean(target.closest('[role="tab"]') && key.startsWith('arrow'));
  return !['range', 'checkbox'].includes(field.type) || (field.type === 'range' && key.startsWith('arrow'));
}

function onkey(event) {
  if (!element.isConnected) {
    document.removeEventListener('keydown', onkey);
    return;
  }
  const key = event.key.toLowerCase();
  if (key === 'escape') {
    closeTop(event);
    return;
  }
  const pressed = event.shiftKey && KEYS[`shift+${key}`] ? `shift+${key}` : key;
  const act = KEYS[pressed];
  if (!act || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (!element.getClientRects().length || !part('keys').checked || typing(event.target, key)) return;
  if (document.querySelector('dialog[open], [aria-modal="true"]')) return;
  event.preventDefault();
  if (event.repeat && ONCE.includes(pressed)) return;
  act();
}

// Escape closes one thing, the one on top. Dialogs and Adjust close themselves.
function closeTop(event) {
  if (event.defaultPrevented || typing(event.target, 'escape') || event.target.closest?.('.sidebar')) return;
  if (!element.getClientRects().length || document.querySelector('dialog[open]')) return;
  const close = isUnfolded()
    ? () => {
        unfold(false);
        part('unfold').focus();
      }
    : isComparing() && !inGrid()
      ? stopComparing
      : inGrid()
        ? () => showGrid(false)
        : null;
  if (!close) return;
  event.preventDefault();
  close();
}

function opacity() {
  const value = Number(part('opacity').value);
  part('page').style.setProperty('--heat', value / 100);
  part('opacity-value').textContent = `${value}%`;
}

function start() {
  part('show').replaceChildren(...Object.entries(SHOWS).map(([value, text]) => h('option', { value }, text)));
  const facet = (name) =>
    part(name).addEventListener('change', () => choose({ [name]: part(name).value === '' ? null : Number(part(name).value) }));
  ['question', 'answer'].forEach(facet);
  for (const name of ['show', 'sort'])
    part(name).addEventListener('change', () => choose({ [name]: part(name).value, picked: null }));
  let typed = null;
  part('text').addEventListener('input', () => {
    clearTimeout(typed);
    typed = setTimeout(() => choose({ text: part('text').value }), 150);
  });
  part('bulk-accept').addEventListener('click', () => decideMany('accept'));
  part('bulk-reject').addEventListener('click', () => decideMany('reject'));
  part('picked').addEventListener('click', () => choose({ picked: null }, true));
  part('unselect').addEventListener('click', () => list.unselect());
  part('layer').addEventListener('change', () => chooseLayer(part('layer').value));
  part('head').addEventListener('change', () => chooseHead(part('head').value));
  part('view').addEventListener('change', () => chooseView(part('view').value));
  part('heat').addEventListener('change', () => part('page').classList.toggle('rv-no-heat', !part('heat').checked));
  drawing.smooth = storedValue('smooth', 'off') === 'on';
  part('smooth').checked = drawing.smooth;
  part('smooth').addEventListener('change', () => {
    drawing.smooth = part('smooth').checked;
    storeValue('smooth', drawing.smooth ? 'on' : 'off');
    repaint();
  });
  part('opacity').addEventListener('input', opacity);
  const acts = {
    accept: KEYS.a,
    reject: KEYS.r,
    skip,
    undo,
    redo,
    history: openHistory,
    zoom: openZoom,
    pin: togglePin,
    'grid-view': KEYS.g,
    next: KEYS.j,
    previous: KEYS.k,
  };
  for (const [name, act] of Object.entries(acts)) part(name).addEventListener('click', act);
  part('note').addEventListener('change', noteChanged);
  // Enter and Escape leave the field, so that the keys work again.
  for (const name of ['note', 'reviewer', 'text']) {
    part(name).addEventListener('keydown', (event) => ['Enter', 'Escape'].includes(event.key) && part(name).blur());
  }
  startName();
  part('keys').checked = storedValue('keys', 'on') === 'on';
  part('keys').addEventListener('change', () => storeValue('keys', part('keys').checked ? 'on' : 'off'));
  document.addEventListener('keydown', onkey);
  startFit();
  startSync();
  startLinks();
  addEventListener('beforeunload', (event) => {
    if (element.isConnected && !(outbox.empty && !unsaved.length)) event.preventDefault();
  });
  opacity();
}

// Updates the page after a change of the session: another run or detection, a sample to open, or new decisions.
async function look() {
  const value = props.value || {};
  if (value.run === undefined) return; // the session has not arrived yet
  const before = state.session;
  state.session = value;
  markEntered();
  // On the user's own machine, the first run opens before the visitor is known (enter.js).
  const here = value.run === before.run && (value.visitor === before.visitor || !before.visitor);
  if (!here) {
    state.context = { visitor: value.visitor || '', run: value.run || '' };
    for (const known of [samples, pictures, list.cards, list.thumbnails, list.selected, list.pending, drafts]) known.clear();
    for (const known of [made, unsaved]) known.length = 0;
    forgetUnsaved();
    list.cursor = -1;
    state.listing = null;
    forgetLayer();
    forgetHead();
    forgetComparison();
    grid.reload();
    const { run } = state.context;
    if (run) {
      const start = { ...EVERYTHING, sort: 'suspicious', show: value.flagged ? 'flagged' : 'all' };
      const [linked, look] = [linkedSample(run), linkedLook(run)];
      await ask({ ...start, ...linkedQuery(run) }, false);
      followLook(look);
      if (linked && !value.sample) await openById(linked);
    } else teach();
  } else if (state.context.run && value.stamp !== before.stamp) {
    await ask({});
  } else if (state.context.run && value.revision !== before.revision) {
    await refreshMarks().catch(() => {});
  }
  if (value.visitor) {
    state.context.visitor = value.visitor;
    storeContext();
  }
  const selection = value.selection || [];
  if (!state.context.run || !(selection.length || value.sample)) return;
  if (selection.length) await choose({ ...EVERYTHING, picked: selection });
  if (value.sample) await openById(value.sample);
  trigger('opened', {});
}

start();
entered.then(() => {
  document.documentElement.dataset.entered = '';
  document.dispatchEvent(new Event('bye-entered'));
});
watch('value', look);
look();
if (state.session.run === undefined) enter();
