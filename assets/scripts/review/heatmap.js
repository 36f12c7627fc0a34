// Draws attention over an image. The geometry repeats bye_core/grids.py line by line.

import { props } from './page.js';

export const STOPS = props.stops;
export const drawing = { smooth: false }; // cells with sharp edges, or blended
const LARGEST_CANVAS = 2560; // device pixels; a larger one is scaled by the browser
const EDGES = [
  [4, 'rgba(0, 0, 0, 0.8)'],
  [2, '#ffffff'],
]; // visible on any image

export function cellBox(grid, row, column, width, height) {
  const [left, top, right, bottom] = grid.box;
  const across = (right - left) / grid.columns;
  const down = (bottom - top) / grid.rows;
  return [
    (left + column * across) * width,
    (top + row * down) * height,
    (left + (column + 1) * across) * width,
    (top + (row + 1) * down) * height,
  ];
}

export function cellAt(grid, x, y, width, height) {
  const [left, top, right, bottom] = grid.box;
  const column = Math.floor(((x / width - left) / (right - left)) * grid.columns);
  const row = Math.floor(((y / height - top) / (bottom - top)) * grid.rows);
  return row >= 0 && row < grid.rows && column >= 0 && column < grid.columns ? [row, column] : null;
}

// Returns whether an image has both tiles and an overview of the whole image, so that a user can choose between them.
function hasBoth(grids) {
  return grids.some((grid) => grid.overview) && grids.some((grid) => !grid.overview);
}

export function hasViews(heat) {
  return heat.grids.some((one) => hasBoth(heat.grids.filter((grid) => grid.image === one.image)));
}

// Returns the grids to show: those of the chosen view ("tiles" or "overview") for images that have both, else all.
export function viewOf(heat, view) {
  return heat.grids.filter((one) => {
    const own = heat.grids.filter((grid) => grid.image === one.image);
    return !hasBoth(own) || Boolean(one.overview) === (view === 'overview');
  });
}

// Returns the shares of a grid: the mean over the defined ones of `layers`, or null if none is defined.
export function sharesOf(heat, grid, layers) {
  const known = layers.filter((layer) => grid.values[layer]);
  if (!known.length) return null;
  const shares = new Float64Array(grid.rows * grid.columns);
  for (const layer of known) {
    const values = grid.values[layer];
    for (let i = 0; i < shares.length; i++) shares[i] += values[i];
  }
  return shares.map((value) => (value * heat.unit) / known.length);
}

export function peakOf(grid, shares) {
  let best = 0;
  for (let i = 1; i < shares.length; i++) if (shares[i] > shares[best]) best = i;
  return { row: Math.floor(best / grid.columns), column: best % grid.columns, share: shares[best] };
}

// Returns the share that gets the last colour of the scale: the largest share, but at least CALM times an even share
// (ours). So attention without a peak does not look peaked.
const CALM = 10;

export function scaleTop(maps, peak) {
  const tokens = maps.reduce((sum, { shares }) => sum + shares.length, 0);
  return Math.max(peak, Math.min(1, CALM / tokens));
}

// Counted from 1, as in Dossier and in reports.
export function cellName({ row, column, grid }) {
  return `${grid?.overview ? 'Overview, row' : 'Row'} ${row + 1}, column ${column + 1}`;
}

// Returns whether the centre of a cell is outside the image.
export function isPadding(grid, row, column) {
  const [left, top, right, bottom] = cellBox(grid, row, column, 1, 1);
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  return x < 0 || x > 1 || y < 0 || y > 1;
}

export function paddingShare(grid, shares) {
  return shares.reduce((sum, share, i) => sum + (isPadding(grid, Math.floor(i / grid.columns), i % grid.columns) ? share : 0), 0);
}

// Draws one pixel per cell. With `veil`, cells with little attention are transparent.
export function cellImage(grid, shares, top, veil) {
  const small = document.createElement('canvas');
  small.width = grid.columns;
  small.height = grid.rows;
  const context = small.getContext('2d');
  const image = context.createImageData(grid.columns, grid.rows);
  for (let i = 0; i < shares.length; i++) {
    const strength = top > 0 ? Math.min(shares[i] / top, 1) : 0;
    const [red, green, blue] = STOPS[Math.round(strength * (STOPS.length - 1))];
    image.data.set([red, green, blue, veil ? Math.round(255 * (0.3 + 0.7 * Math.sqrt(strength))) : 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return small;
}

// Sets the resolution of the canvas to that of the screen; returns its size in device pixels.
function fit(canvas) {
  const longest = Math.max(canvas.clientWidth, canvas.clientHeight, 1) * devicePixelRatio;
  const density = devicePixelRatio * Math.min(1, LARGEST_CANVAS / longest);
  const width = Math.max(1, Math.round(canvas.clientWidth * density));
  const height = Math.max(1, Math.round(canvas.clientHeight * density));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return [width, height];
}

// `cells`: [{grid, shares}] of one image. Cells outside the image (padding) are not visible.
export function paintHeat(canvas, cells, top) {
  const [width, height] = fit(canvas);
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = drawing.smooth;
  context.imageSmoothingQuality = 'high';
  for (const { grid, shares } of cells) {
    const [left, up, right, bottom] = grid.box;
    context.drawImage(
      cellImage(grid, shares, top, true),
      left * width,
      up * height,
      (right - left) * width,
      (bottom - up) * height,
    );
  }
}

// Draws the tokens of a model without a map in one row, one pixel a token.
export function paintStrip(canvas, { grid, shares }, top) {
  canvas.width = grid.columns;
  canvas.height = 1;
  canvas.getContext('2d').drawImage(cellImage(grid, shares, top, false), 0, 0);
}

// Marks the cell under the pointer, and darkens the margin of the image that the model did not see.
export function paintMarks(canvas, grids, cell) {
  const [width, height] = fit(canvas);
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  const cropped = grids.some(({ box }) => box[0] > 0.001 || box[1] > 0.001 || box[2] < 0.999 || box[3] < 0.999);
  if (cropped) {
    context.fillStyle = 'rgba(20, 24, 30, 0.6)';
    context.fillRect(0, 0, width, height);
    for (const { box } of grids) {
      context.clearRect(box[0] * width, box[1] * height, (box[2] - box[0]) * width, (box[3] - box[1]) * height);
    }
  }
  if (cell) {
    const [left, up, right, bottom] = cellBox(cell.grid, cell.row, cell.column, width, height);
    for (const [line, colour] of EDGES) {
      context.lineWidth = line * devicePixelRatio;
      context.strokeStyle = colour;
      context.strokeRect(left, up, right - left, bottom - up);
    }
  }
  return cropped;
}

// Draws a crop of the image: one cell and a margin of one cell on every side.
export function paintCrop(canvas, image, peak, grid) {
  const [left, up, right, bottom] = cellBox(grid, peak.row, peak.column, image.naturalWidth, image.naturalHeight);
  const [wide, high] = [right - left, bottom - up];
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = canvas.width < 3 * wide * 2;
  context.drawImage(image, left - wide, up - high, 3 * wide, 3 * high, 0, 0, canvas.width, canvas.height);
  for (const [line, colour] of EDGES) {
    context.lineWidth = line;
    context.strokeStyle = colour;
    context.strokeRect(canvas.width / 3, canvas.height / 3, canvas.width / 3, canvas.height / 3);
  }
}
