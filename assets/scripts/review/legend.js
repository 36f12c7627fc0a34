// Shows the colour scale of the heatmaps, and how much attention they do not show.

import { h, percent } from './dom.js';
import { paddingShare, STOPS, sharesOf } from './heatmap.js';
import { part } from './page.js';

// `maps`: the shares of the shown grids; `scale`: the share that gets the last colour; `viewer`: where they are shown.
export function showLegend(maps, scale, viewer) {
  const holder = part('legend');
  if (!maps.length) {
    holder.replaceChildren('No attention to show.');
    return;
  }
  holder.replaceChildren(
    h('span', {}, '0'),
    h('i', {
      class: 'rv-scale',
      style: `background: linear-gradient(to right, ${STOPS.filter((_, i) => i % 32 === 0 || i === STOPS.length - 1)
        .map((c) => `rgb(${c})`)
        .join(', ')})`,
    }),
    h('span', {}, percent(scale)),
    h('span', { class: 'rv-hint' }, ['share of the attention on the image', ...hiddenShares(maps, viewer)].join('; ')),
  );
}

// Returns words for the attention on padding, on the other view, and on tokens that stand for no part of the image.
function hiddenShares(maps, { heat, shownLayers, view }) {
  const sum = (shares) => (shares || []).reduce((total, share) => total + share, 0);
  const padding = maps.reduce((total, { grid, shares }) => total + paddingShare(grid, shares), 0);
  const shown = maps.reduce((total, { shares }) => total + sum(shares), 0);
  const all = heat.grids.reduce((total, grid) => total + sum(sharesOf(heat, grid, shownLayers)), 0);
  return [
    [padding, 'lies on padding outside'],
    [all - shown, `lies on the ${view === 'overview' ? 'tiles' : 'overview'}`],
    [1 - all, 'lies on tokens without a place on the image'],
  ]
    .filter(([share]) => share > 0.01)
    .map(([share, words]) => `${percent(share)} ${words}`);
}
