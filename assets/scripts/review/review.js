// Shows one sample after another and the list of samples. `props.value` = {visitor, run, sample, stamp, revision}.

import { compareTypical, showBeside } from './compare.js';
import { adopt } from './decisions.js';
import { bytesOf } from './dom.js';
import { Strip, Viewer } from './figure.js';
import { showCounts, showFacets, showNotice, showPlace, teach } from './filters.js';
import { unfold } from './fit.js';
import { Grid } from './grid.js';
import { followHead } from './heads.js';
import { hasViews } from './heatmap.js';
import { layersOf, layerWords, showLayers, toggleLayer } from './layers.js';
import { showLegend } from './legend.js';
import { newEntry, showInAddress } from './link.js';
import { SampleList } from './list.js';
import { decoded, fetchAhead, picturesOf, sampleAt } from './loading.js';
import { showError } from './messages.js';
import { fillNote, keepDraft } from './notes.js';
import { part } from './page.js';
import { Panel } from './panel.js';
import { call, Outbox, Prefetcher, wordsOf } from './requests.js';
import { deliver } from './saving.js';
import { EVERYTHING, entered, pictures, samples, state } from './state.js';
import { refreshMarks } from './sync.js';

const NEAR = [1, 2, 3, -1]; // samples to prefetch, relative to the current one
let asked = 0; // number of the latest request for a list

const prefetcher = new Prefetcher();
export const outbox = new Outbox(deliver);
export const viewer = new Viewer(part('figures'), 'sample', (text) => {
  part('readout').textContent = text || part('readout').dataset.rest || '';
});
export const beside = new Viewer(part('beside-figures'), 'compared sample');
export const strip = new Strip(part('strip'), toggleLayer);
export const panel = new Panel(part('facts'), {
  question: (position) => choose({ question: position, show: 'all' }, true),
  answer: (position) => choose({ answer: position, show: 'all' }, true),
  open: (position) => openPosition(position),
  compare: compareTypical,
  back: goBack,
});
export const viewers = () => [viewer, beside, panel.compare];
for (const shown of viewers()) shown.group = viewers();
export const list = new SampleList(
  part('list'),
  {
    cards: (positions) =>
      call('review_cards', state.context, { positions }).then(({ cards }) =>
        Object.fromEntries(cards.map((card) => [card.position, card])),
      ),
    thumbnails: (positions) => call('review_thumbnails', state.context, { positions }).then(({ thumbnails }) => thumbnails),
  },
  (index) => {
    unfold(false); // a row was chosen
    openIndex(index);
  },
  showCounts,
);

export const grid = new Grid(
  part('grid'),
  list,
  (positions) => call('review_tiles', state.context, { positions, layers: layersOf() }).then(({ tiles }) => tiles),
  (index, enter) => {
    openIndex(index);
    if (enter) showGrid(false);
  },
);
list.follower = grid;

// --- requests to the server ------------------------------------------------------------------------------------

// Waits for the first sample, because the server reads the whole data set for this request.
async function askNotice(here) {
  await entered;
  const { notice } = await call('review_notice', here).catch(() => ({}));
  if (notice !== undefined && here === state.context) showNotice(notice);
}

// Requests a list; `change` replaces parts of the query. Keeps the current sample if it is listed.
export async function ask(change, keep = true) {
  state.query = { ...state.query, ...change };
  const [number, before] = [++asked, outbox.count];
  part('page').setAttribute('aria-busy', 'true');
  try {
    const answer = await call('review_queue', state.context, { query: state.query });
    if (number !== asked) return;
    showQueue(answer, keep ? list.current : null);
    if (before !== outbox.count) await refreshMarks();
  } catch (error) {
    if (number === asked) showError(wordsOf(error), [['Try again', () => ask({})]]);
  } finally {
    if (number === asked) part('page').removeAttribute('aria-busy');
  }
}

// The user chooses another list: the browser's Back returns to the one before.
export function choose(change, keep = false) {
  newEntry();
  return ask(change, keep);
}

// `first`: the first sample to show, if the response contains it.
export function showQueue(answer, position, first = null) {
  if (!state.listing || answer.stamp !== state.listing.stamp) {
    samples.clear();
    list.cards.clear(); // their scores are those of the detection before
    askNotice(state.context);
  }
  if (first) {
    samples.set(first.position, Promise.resolve(first));
    if (first.picture) pictures.set(`${first.position}/0`, decoded(first.picture.src, first.picture.width, first.picture.height));
  }
  state.listing = answer;
  state.decided = answer.decided;
  state.newest = answer.newest;
  for (const card of answer.cards) list.cards.set(card.position, card);
  const bytes = bytesOf(answer.positions);
  const listed = list.fill(new Uint32Array(bytes.buffer), bytesOf(answer.marks), position);
  adopt(list.marks);
  showFacets();
  showLayers();
  showCounts();
  teach();
  if (!list.positions.length) showInAddress();
  else if (first) openIndex(list.positions.indexOf(first.position));
  else if (listed) openIndex(list.cursor);
  else openIndex(Math.max(0, list.nextUndecided()));
}

// --- one sample ------------------------------------------------------------------------------------------------

export function openIndex(index) {
  if (index < 0 || index >= list.positions.length) return;
  keepDraft();
  list.go(index);
  fillNote(list.current, null);
  showInAddress();
  showSample(list.current);
}

// `from`: the sample to which the user can return.
export async function openPosition(position, from = null) {
  const back = from && { position: from.position, id: from.id, query: state.query, to: position };
  if (!list.positions.includes(position)) await choose(EVERYTHING);
  state.back = back;
  openIndex(list.positions.indexOf(position));
}

async function goBack() {
  const { position, query } = state.back;
  state.back = null;
  if (query !== state.query) await ask(query, false);
  openIndex(list.positions.indexOf(position));
}

export function showAgain() {
  if (list.current !== null) showSample(list.current);
}

async function showSample(position) {
  if (state.back?.to !== position) state.back = null;
  showPlace();
  part('main').setAttribute('aria-busy', 'true');
  prefetch();
  const here = state.context;
  const left = () => list.current !== position || here !== state.context;
  try {
    const sample = await sampleAt(position);
    if (left()) return;
    fill(sample);
    part('main').removeAttribute('aria-busy');
    await showBeside(sample, left);
    if (!sample.typical) panel.showTypical(null);
    else {
      const compared = await sampleAt(sample.typical.position);
      if (!left()) panel.showTypical(compared, sample.typical.same, picturesOf(compared), layersOf());
    }
  } catch (error) {
    if (!left()) showError(wordsOf(error), [['Try again', () => showSample(position)]]);
  }
}

function fill(sample) {
  const position = sample.position;
  viewer.name = sample.id;
  viewer.layers = layersOf();
  part('view-field').hidden = !sample.heat || !hasViews(sample.heat);
  panel.show(sample, list.marks[position], state.back);
  viewer.show(sample, picturesOf(sample));
  // Draws the image first, because the small maps of all layers take as long as everything else together.
  requestAnimationFrame(() =>
    setTimeout(() => {
      if (list.current !== position || !state.listing) return;
      strip.show(sample, state.listing.sensitive);
      strip.select(layersOf());
    }),
  );
  rest(sample.heat_error ? `${sample.heat_error.problem} ${sample.heat_error.remedy}` : '');
  followHead();
  fillNote(position, sample.decision);
  for (const name of ['body', 'main', 'facts']) part(name).scrollTop = 0;
  part('page').dataset.sample = sample.id;
  showInAddress(); // also where the list did not know the id before
}

viewer.onpainted = (maps, top, scale) => {
  const image = top ? viewer.figures[top.grid.image] && viewer.figures[top.grid.image].image : null;
  panel.showPeak(top, image, layerWords());
  showLegend(maps, scale, viewer);
};

function prefetch() {
  const wanted = NEAR.map((step) => list.positions[list.cursor + step]).filter((position) => position !== undefined);
  const next = list.nextUndecided();
  if (next >= 0 && !wanted.includes(list.positions[next])) wanted.unshift(list.positions[next]);
  prefetcher.replace(wanted.map((position) => () => fetchAhead(position)));
}

function rest(text) {
  part('readout').dataset.rest = text;
  part('readout').textContent = text;
}

// Shows the attention on the tiles of the images, or on the overviews of the whole images.
export function chooseView(view) {
  for (const shown of viewers()) shown.setView(view);
  strip.view = view;
  grid.view = view;
  grid.reload();
  if (viewer.sample) strip.show(viewer.sample, state.listing.sensitive);
}

// Draws all heatmaps again, after a change of their look.
export function repaint() {
  for (const shown of viewers()) shown.paint();
  grid.clear();
  grid.later();
}

export function showGrid(on) {
  part('grid').hidden = !on;
  part('body').hidden = on;
  part('grid-view').setAttribute('aria-pressed', String(on));
  part('grid-view').textContent = on ? 'Single' : 'Grid';
  unfold(false);
  showInAddress();
  if (on) grid.reveal(list.cursor);
  else repaint();
  grid.later();
}
