// Shows the images of one sample with its attention as heatmaps: one figure per image, one colour scale for all.

import { h, percent } from './dom.js';
import { cellAt, cellImage, cellName, paintHeat, paintMarks, paintStrip, peakOf, scaleTop, sharesOf, viewOf } from './heatmap.js';
import { wordsOf } from './requests.js';

export class Viewer {
  // `report(text)` is called with a description of the cell under the pointer, or "" if there is none.
  constructor(holder, name, report) {
    this.holder = holder;
    this.name = name;
    this.report = report || (() => {});
    this.layers = [];
    this.view = 'tiles';
    this.figures = [];
    this.sample = null;
    this.head = null; // the attention of a single head on this sample, in place of the layers
    this.maps = [];
    this.own = 0; // the scale that this sample alone would have
    this.scale = 0;
    this.group = [this]; // viewers with one colour scale
    this.observer = new ResizeObserver(() => this.paint());
  }

  // `pictures`: one promise of {image, width, height} per image. A rejected promise shows its message instead.
  show(sample, pictures) {
    this.observer.disconnect();
    this.sample = sample;
    this.head = null;
    this.figures = pictures.map((picture, number) => this.figure(picture, number, pictures.length));
    this.holder.replaceChildren(...this.figures.map((figure) => figure.root));
    this.strip = null;
    if (sample.heat?.note) {
      this.strip = h('canvas', { class: 'rv-token-row', 'aria-hidden': 'true' });
      this.holder.append(h('figure', { class: 'rv-figure' }, this.strip, h('figcaption', {}, sample.heat.note)));
    }
    this.holder.dataset.pictures = pictures.length;
    if (!pictures.length) this.holder.replaceChildren(h('p', { class: 'rv-missing' }, 'This sample has no image.'));
    for (const figure of this.figures) this.observer.observe(figure.stage);
  }

  figure(picture, number, total) {
    const heat = h('canvas', { class: 'rv-heat', 'aria-hidden': 'true' });
    const marks = h('canvas', { class: 'rv-marks', 'aria-hidden': 'true' });
    const stage = h('div', { class: 'rv-stage rv-waiting' }, heat, marks);
    const caption = total > 1 ? h('figcaption', {}, `image ${number + 1} of ${total}`) : null;
    const figure = { root: h('figure', { class: 'rv-figure' }, stage, caption), stage, heat, marks, number, image: null };
    marks.addEventListener('pointermove', (event) => this.point(figure, event));
    marks.addEventListener('pointerdown', (event) => this.point(figure, event));
    marks.addEventListener('pointerleave', () => {
      this.point(figure, null);
    });
    picture.then(
      (shown) => this.fill(figure, shown),
      (error) => this.fail(figure, wordsOf(error)),
    );
    return figure;
  }

  fill(figure, shown) {
    const image = shown.image.cloneNode();
    image.alt = `${this.name}, image ${figure.number + 1}`;
    image.className = 'rv-picture';
    image.draggable = false;
    figure.image = image;
    figure.stage.style.setProperty('--ratio', shown.width / shown.height);
    // A small image is enlarged without smoothing, so that a trigger of a few pixels stays sharp.
    figure.stage.classList.toggle('rv-tiny', Math.max(shown.width, shown.height) <= 160);
    figure.stage.classList.remove('rv-waiting');
    figure.stage.prepend(image);
    this.paint();
    this.onfilled?.(figure);
  }

  fail(figure, words) {
    figure.stage.replaceWith(h('div', { class: 'rv-missing', role: 'note' }, h('strong', {}, words.problem), ` ${words.remedy}`));
  }

  grids(number) {
    return this.heat ? viewOf(this.heat, this.view).filter((grid) => grid.image === number) : [];
  }

  // Returns the shares of every shown grid for the chosen layers (`maps`), and the cell with the largest share (`top`).
  measure() {
    const { heat } = this;
    const maps = [];
    let top = null;
    if (heat) {
      for (const grid of viewOf(heat, this.view)) {
        const shares = sharesOf(heat, grid, this.shownLayers);
        if (!shares) continue;
        const peak = { ...peakOf(grid, shares), grid };
        maps.push({ grid, shares });
        if (!top || peak.share > top.share) top = peak;
      }
    }
    return { maps, top };
  }

  clear() {
    this.observer.disconnect();
    this.sample = null;
    this.figures = [];
    this.holder.replaceChildren();
    this.paint();
  }

  get heat() {
    return this.head ?? this.sample?.heat ?? null;
  }

  get shownLayers() {
    return this.head ? [0] : this.layers;
  }

  setHead(heat) {
    if (this.head === heat) return;
    this.head = heat;
    this.paint();
  }

  // Returns the shares of one image, as `paintHeat` takes them.
  cellsOf(number) {
    return this.maps.filter(({ grid }) => grid.image === number);
  }

  setLayers(layers) {
    this.layers = layers;
    this.paint();
  }

  setView(view) {
    this.view = view;
    this.paint();
  }

  // Measures this sample, and draws all samples of the group whose colours change.
  paint() {
    const { maps, top } = this.measure();
    this.maps = maps;
    this.top = top;
    this.own = top ? scaleTop(maps, top.share) : 0;
    const scale = Math.max(...this.group.map((viewer) => viewer.own));
    for (const viewer of this.group) if (viewer === this || viewer.scale !== scale) viewer.draw(scale);
  }

  draw(scale) {
    const { maps, top } = this;
    this.scale = scale;
    for (const figure of this.figures) {
      if (!figure.image || !figure.stage.clientWidth) continue;
      paintHeat(figure.heat, this.cellsOf(figure.number), scale);
      const cropped = paintMarks(figure.marks, this.grids(figure.number), null);
      figure.stage.title = `Point at a cell to read its share.${cropped ? ' The model does not see the darkened margin.' : ''}`;
    }
    if (this.strip && maps.length) paintStrip(this.strip, maps[0], scale);
    this.onpainted?.(maps, top, scale);
  }

  point(figure, event) {
    if (!figure.image) return;
    const box = figure.marks.getBoundingClientRect();
    let found = null;
    if (event) {
      // Where grids overlap, the last one has the smallest cells and is used.
      for (const map of this.cellsOf(figure.number)) {
        const cell = cellAt(map.grid, event.clientX - box.left, event.clientY - box.top, box.width, box.height);
        if (cell)
          found = { grid: map.grid, row: cell[0], column: cell[1], share: map.shares[cell[0] * map.grid.columns + cell[1]] };
      }
    }
    paintMarks(figure.marks, this.grids(figure.number), found);
    this.report(found ? `${cellName(found)}: ${percent(found.share, 2)} of the attention on the image` : '');
  }
}

// Shows all layers as small maps, each with its own scale. A click shows the layer on the image.
export class Strip {
  constructor(holder, choose) {
    this.holder = holder;
    this.choose = choose;
    this.view = 'tiles';
    this.buttons = [];
  }

  show(sample, sensitive) {
    const heat = sample.heat;
    const layers = heat ? [...Array(heat.layers).keys()] : [];
    if (this.buttons.length !== layers.length) {
      this.buttons = layers.map((layer) => this.thumb(layer));
      this.holder.replaceChildren(...this.buttons);
    }
    for (const layer of layers) this.draw(this.buttons[layer], heat, layer, sensitive.includes(layer));
  }

  thumb(layer) {
    return h(
      'button',
      { type: 'button', class: 'rv-layer', onclick: () => this.choose(layer) },
      h('canvas', { 'aria-hidden': 'true' }),
      h('span', {}, layer ? String(layer) : 'layer 0'),
    );
  }

  draw(thumb, heat, layer, sensitive) {
    const canvas = thumb.firstChild;
    const maps = viewOf(heat, this.view)
      .map((grid) => ({ grid, shares: sharesOf(heat, grid, [layer]) }))
      .filter(({ shares }) => shares);
    thumb.classList.toggle('rv-sensitive', sensitive);
    thumb.disabled = !maps.length;
    const peak = Math.max(0, ...maps.map(({ grid, shares }) => peakOf(grid, shares).share));
    const words = maps.length ? `largest share of a cell ${percent(peak)}` : 'no number';
    thumb.title = `Layer ${layer}${sensitive ? ', sensitive' : ''}: ${words}`;
    thumb.setAttribute('aria-label', thumb.title);
    canvas.width = maps.reduce((sum, { grid }) => sum + grid.columns, 0) || 1;
    canvas.height = Math.max(1, ...maps.map(({ grid }) => grid.rows));
    const context = canvas.getContext('2d');
    const scale = maps.length ? scaleTop(maps, peak) : 0;
    let x = 0;
    for (const { grid, shares } of maps) {
      context.drawImage(cellImage(grid, shares, scale, false), x, 0);
      x += grid.columns;
    }
  }

  select(layers) {
    this.buttons.forEach((thumb, layer) => {
      const on = layers.includes(layer);
      thumb.setAttribute('aria-pressed', String(on && layers.length === 1));
      thumb.classList.toggle('rv-shown', on);
    });
    const first = this.buttons[layers[0]];
    const layer = layers.length < this.buttons.length && first ? first.offsetLeft - this.holder.offsetLeft : 0;
    const hidden =
      layer < this.holder.scrollLeft || layer + (first?.clientWidth ?? 0) > this.holder.scrollLeft + this.holder.clientWidth;
    if (hidden) this.holder.scrollLeft = Math.max(0, layer - 60);
  }
}
