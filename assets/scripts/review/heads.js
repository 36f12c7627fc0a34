// Shows single heads: the numbers that the scan stored, and their maps once the model was asked about the sample.

import { h, percent, Recent } from './dom.js';
import { chooseLayer, layersOf } from './layers.js';
import { showInAddress } from './link.js';
import { part } from './page.js';
import { call } from './requests.js';
import { beside, list, viewer } from './review.js';
import { state } from './state.js';

let head = null; // its number in the single layer that is shown; null: the mean of all heads
const known = new Recent(200);

// The name of the choice in the address.
export const headName = () => (head === null ? '' : String(head));

// Offers the heads that the method named, and those of the layer that is shown.
export function showHeads() {
  const { heads = 0, named = [] } = state.listing || {};
  part('head-field').hidden = !heads;
  const layers = layersOf();
  const single = layers.length === 1 ? layers[0] : null;
  if (single === null) head = null;
  const options = [h('option', { value: '' }, 'mean of all heads')];
  const value = (layer, number) => `${layer}/${number}`;
  for (const [layer, number] of named)
    options.push(h('option', { value: value(layer, number) }, `layer ${layer}, head ${number}: named by the method`));
  const listed = new Set(named.map(([layer, number]) => value(layer, number)));
  for (let number = 0; single !== null && number < heads; number++)
    if (!listed.has(value(single, number)))
      options.push(h('option', { value: value(single, number) }, `layer ${single}, head ${number}`));
  if (single === null && heads && !named.length) options.push(h('option', { disabled: true }, 'choose a single layer first'));
  part('head').replaceChildren(...options);
  part('head').value = head === null ? '' : value(single, head);
}

// `value`: "layer/head", or "" for the mean of all heads.
export function chooseHead(value) {
  const [layer, number] = value ? value.split('/').map(Number) : [null, null];
  const { heads = 0, layers = 0 } = state.listing || {};
  if (value && !(layer < layers && number < heads)) return;
  head = number;
  if (value) chooseLayer(layer, number);
  showHeads();
  showInAddress();
  followHead();
}

export function forgetHead() {
  head = null;
  known.clear();
}

// The mean of all heads belongs to every other choice of layers.
export function meanOfHeads() {
  head = null;
  say('');
  for (const shown of [viewer, beside]) shown.setHead(null);
}

function say(text) {
  part('head-words').hidden = !text;
  part('head-words').textContent = text;
}

const headOf = (position) => {
  const [layer] = layersOf();
  const key = `${position}/${layer}/${head}`;
  return known.get(key) || known.set(key, call('review_head', state.context, { position, layer, head }));
};

// After the model was asked, the maps are there.
export function askHeadsAgain() {
  known.clear();
  followHead();
}

// Shows the head on the samples that are on the screen.
export async function followHead() {
  if (head === null) {
    meanOfHeads();
    return;
  }
  say('');
  const [wanted, here] = [head, state.context];
  for (const shown of [viewer, beside]) {
    const { sample } = shown;
    if (!sample) continue;
    try {
      const answer = await headOf(sample.position);
      if (wanted !== head || here !== state.context || shown.sample !== sample) return;
      shown.setHead(answer.heat);
      if (shown === viewer && list.current === sample.position) say(words(answer));
    } catch {
      shown.setHead(null);
    }
  }
}

function words({ entropy, peak, mass, heat }) {
  const number = (value, text) => (value === null ? 'unknown' : text(value));
  return (
    `Layer ${layersOf()[0]}, head ${head}: entropy ${number(entropy, (value) => `${value.toFixed(2)} nats`)}, largest cell ` +
    `${number(peak, percent)}, ${number(mass, percent)} of its attention is on the image.` +
    (heat ? '' : ' The image shows the mean of all heads: for this head, press "Ask the model".')
  );
}
