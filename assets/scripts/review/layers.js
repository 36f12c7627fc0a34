// The layers whose attention is shown: the sensitive ones, all, or a single one. The choice belongs to one run.

import { h } from './dom.js';
import { meanOfHeads, showHeads } from './heads.js';
import { showInAddress } from './link.js';
import { part } from './page.js';
import { grid, panel, strip, viewers } from './review.js';
import { state } from './state.js';

let layer = 'sensitive';

export function layersOf() {
  if (!state.listing) return [];
  if (layer === 'all' || (layer === 'sensitive' && !state.listing.sensitive.length))
    return [...Array(state.listing.layers).keys()];
  return layer === 'sensitive' ? state.listing.sensitive : [layer];
}

export const layerWords = () =>
  typeof layer === 'number'
    ? `layer ${layer}`
    : layer === 'sensitive' && state.listing && state.listing.sensitive.length
      ? 'mean of the sensitive layers'
      : 'mean of all layers';

// A second click on the layer that is shown returns to the sensitive layers.
export function toggleLayer(chosen) {
  chooseLayer(layer === chosen ? 'sensitive' : chosen);
}

// The name of the choice in the address, '' for the sensitive layers.
export const layerName = () => (layer === 'sensitive' ? '' : String(layer));

// `name`: 'sensitive', 'all', or the number of a layer, also as text; others are ignored. `head`: null for the mean.
export function chooseLayer(name, head = null) {
  const none = name === 'sensitive' && !state.listing?.sensitive.length;
  const chosen = none ? 'all' : ['sensitive', 'all'].includes(name) ? name : Number(name);
  if (Number.isNaN(chosen) || chosen >= (state.listing?.layers ?? 0)) return;
  if (head === null) meanOfHeads();
  if (chosen === layer) return;
  layer = chosen;
  part('layer').value = String(chosen);
  showHeads();
  showInAddress();
  for (const viewer of viewers()) viewer.setLayers(layersOf());
  strip.select(layersOf());
  grid.reload();
}

// Another run may have other layers, and its method others that are sensitive.
export function forgetLayer() {
  layer = 'sensitive';
}

export function showLayers() {
  const options = [];
  if (state.listing.sensitive.length) options.push(['sensitive', 'mean of the sensitive layers']);
  options.push(['all', 'mean of all layers']);
  for (let i = 0; i < state.listing.layers; i++)
    options.push([String(i), `layer ${i}${state.listing.sensitive.includes(i) ? ', sensitive' : ''}`]);
  if (typeof layer === 'number' && layer >= state.listing.layers) layer = 'sensitive';
  if (layer === 'sensitive' && !state.listing.sensitive.length) layer = 'all';
  part('layer').replaceChildren(...options.map(([value, text]) => h('option', { value }, text)));
  part('layer').value = String(layer);
  showHeads();
  panel.compare.layers = layersOf();
}
