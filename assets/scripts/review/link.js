// Keeps list, sample, layer and grid of Review in the page's address, so that a link opens the same view.

import { get, onChange, set } from '../address.js';
import { chooseHead, headName } from './heads.js';
import { chooseLayer, layerName } from './layers.js';
import { showError } from './messages.js';
import { part } from './page.js';
import { call, wordsOf } from './requests.js';
import { ask, list, openPosition, showGrid } from './review.js';
import { EVERYTHING, state } from './state.js';

const QUERY = ['show', 'sort', 'question', 'answer', 'text'];
const OWN = [...QUERY, 'sample', 'layer', 'head', 'mode'];
let entry = false; // whether the next view is a new entry in the browser's history

// Returns the part of the query that the address names, {} if it names another run.
export function linkedQuery(run) {
  if (!describes(run)) return {};
  const query = Object.fromEntries(QUERY.filter((name) => get(name)).map((name) => [name, get(name)]));
  for (const name of ['question', 'answer']) if (name in query) query[name] = Number(query[name]);
  return query;
}

const describes = (run) => !get('run') || get('run') === run;
export const linkedSample = (run) => (describes(run) ? get('sample') : '');

// The user has chosen another list: Back returns to this one.
export const newEntry = () => {
  entry = true;
};

// Called after every change of what is shown.
export function showInAddress() {
  const { run } = state.context;
  if (!run || !state.listing) return;
  const { show, sort, question, answer, text } = state.query;
  const current = list.current === null ? null : list.cards.get(list.current);
  const sample = current?.id ?? '';
  if (list.current !== null && !current) return; // its name is not known yet
  const words = { show, sort: sort === 'suspicious' ? '' : sort, question, answer, text };
  const mode = part('grid').hidden ? '' : 'grid';
  set({ run, ...words, sample, layer: layerName(), head: headName(), mode }, { push: entry });
  entry = false;
}

// Layer and grid of the address. Read it before the list is shown, which writes the address; then `followLook`.
export const linkedLook = (run) => (describes(run) ? { layer: get('layer'), head: get('head'), mode: get('mode') } : {});

export function followLook({ layer, head, mode }) {
  chooseLayer(layer || 'sensitive');
  if (layer && head) chooseHead(`${layer}/${head}`);
  showGrid(mode === 'grid');
}

export async function openById(id) {
  try {
    const { position } = await call('review_sample', state.context, { id });
    await openPosition(position);
  } catch (error) {
    showError(wordsOf(error), []);
  }
}

export function startLinks() {
  onChange(async (changed) => {
    const { run } = state.context;
    // The session brings another run; other names belong to other tabs.
    if (changed.has('run') || !run || !OWN.some((name) => changed.has(name))) return;
    entry = false;
    const [look, id] = [linkedLook(run), linkedSample(run)];
    if (QUERY.some((name) => changed.has(name))) await ask({ ...EVERYTHING, sort: 'suspicious', ...linkedQuery(run) }, false);
    followLook(look);
    if (id && list.cards.get(list.current)?.id !== id) await openById(id);
  });
}
