// Shows the samples of the list as cards: the whole image with its heatmap. Only visible cards are in the page.

import { h, Recent } from './dom.js';
import { paintHeat, peakOf, scaleTop, sharesOf, viewOf } from './heatmap.js';
import { stateOf } from './list.js';

const [NARROWEST, HEIGHT, GAP] = [150, 222, 10]; // pixels of a card, as in assets/review.css
const PER_REQUEST = 12; // as TILES in bye_core/ui/tabs/review/answers.py

export class Grid {
  // fetch(positions) -> {position: {picture, heat}}; open(index), also for a double click with `true`
  constructor(holder, list, fetch, open) {
    this.holder = holder;
    this.list = list;
    this.fetch = fetch;
    this.open = open;
    this.tiles = new Recent(400);
    this.cards = new Map();
    this.asked = new Set();
    this.view = 'tiles';
    this.version = 0;
    this.space = h('div', { class: 'rv-space' });
    holder.replaceChildren(this.space);
    holder.addEventListener('scroll', () => this.later());
    new ResizeObserver(() => {
      this.clear();
      this.reveal(list.cursor);
      this.later();
    }).observe(holder);
  }

  get shown() {
    return !this.holder.hidden && this.holder.clientWidth > 0;
  }

  get columns() {
    return Math.max(1, Math.floor((this.holder.clientWidth - GAP) / (NARROWEST + GAP)));
  }

  clear() {
    for (const card of this.cards.values()) card.root.remove();
    this.cards.clear();
  }

  // Other layers, another run, or another list.
  reload() {
    this.version += 1;
    this.tiles.clear();
    this.asked.clear();
    this.clear();
    this.later();
  }

  reveal(index) {
    if (!this.shown || index < 0) return;
    const top = Math.floor(index / this.columns) * (HEIGHT + GAP);
    const view = this.holder.clientHeight;
    if (top < this.holder.scrollTop) this.holder.scrollTop = top;
    else if (top + HEIGHT + GAP > this.holder.scrollTop + view) this.holder.scrollTop = top + HEIGHT + GAP - view;
  }

  later() {
    if (this.queued) return;
    this.queued = requestAnimationFrame(() => {
      this.queued = null;
      this.draw();
    });
  }

  draw() {
    if (!this.shown) return;
    const { columns, list } = this;
    const total = list.positions.length;
    this.space.style.height = `${Math.ceil(total / columns) * (HEIGHT + GAP)}px`;
    const first = Math.max(0, Math.floor(this.holder.scrollTop / (HEIGHT + GAP)) - 1) * columns;
    const last = Math.min(total, (Math.ceil((this.holder.scrollTop + this.holder.clientHeight) / (HEIGHT + GAP)) + 1) * columns);
    for (const [index, card] of this.cards) {
      if (index >= first && index < last && card.position === list.positions[index]) continue;
      card.root.remove();
      this.cards.delete(index);
    }
    for (let index = first; index < last; index++) {
      if (!this.cards.has(index)) this.cards.set(index, this.card(index));
      this.update(index);
    }
    this.load(first, last);
  }

  refresh() {
    for (const index of this.cards.keys()) this.update(index);
  }

  card(index) {
    const position = this.list.positions[index];
    const check = h('input', { type: 'checkbox', class: 'rv-pick' });
    check.addEventListener('click', (event) => {
      event.stopPropagation();
      this.list.select(index, check.checked, event.shiftKey);
    });
    const card = {
      position,
      check,
      stage: h('span', { class: 'rv-tile-stage' }),
      id: h('span', { class: 'rv-id' }),
      text: h('span', { class: 'rv-text' }),
      state: h('span', { class: 'rv-state', role: 'img' }),
    };
    card.face = h(
      'button',
      { type: 'button', class: 'rv-tile-face', title: 'Double-click or press Enter to open' },
      h('span', { class: 'rv-tile-picture' }, card.stage),
      h('span', { class: 'rv-words' }, card.id, card.text),
    );
    card.face.addEventListener('click', (event) => {
      if (event.shiftKey) this.list.select(index, true, true);
      else this.open(index, event.detail === 0); // Enter on the button
    });
    card.face.addEventListener('dblclick', () => this.open(index, true));
    card.root = h('div', { role: 'listitem', 'aria-posinset': index + 1 }, card.face, check, card.state);
    const [row, column] = [Math.floor(index / this.columns), index % this.columns];
    card.root.style.top = `${row * (HEIGHT + GAP)}px`;
    card.root.style.left = `${(column * 100) / this.columns}%`;
    card.root.style.width = `calc(${100 / this.columns}% - ${GAP}px)`;
    this.space.append(card.root);
    return card;
  }

  update(index) {
    const card = this.cards.get(index);
    const { list } = this;
    const known = list.cards.get(card.position);
    const state = stateOf(list.marks[card.position]);
    const picked = list.selected.has(card.position);
    const current = index === list.cursor;
    card.root.className = `rv-tile rv-${state.kind}${current ? ' rv-current' : ''}${picked ? ' rv-picked' : ''}`;
    card.root.setAttribute('aria-setsize', list.positions.length);
    card.face.setAttribute('aria-current', String(current));
    card.check.checked = picked;
    card.check.setAttribute('aria-label', `Select ${known ? known.id : 'sample'}`);
    card.id.textContent = known ? `${known.id}${known.score === null ? '' : `, score ${known.score.toFixed(3)}`}` : '';
    card.text.textContent = known ? known.answer || '(empty answer)' : '';
    card.state.textContent = list.pending.has(card.position) ? '…' : state.shape + (state.note ? '!' : '');
    card.state.title = state.note || state.word;
    card.state.setAttribute('aria-label', card.state.title);
    const tile = this.tiles.get(card.position);
    if (tile && !card.painted) this.paint(card, tile, known?.id || 'sample');
  }

  paint(card, { picture, heat }, name) {
    card.painted = true;
    if (!picture) {
      card.stage.replaceChildren(h('span', { class: 'rv-hint' }, 'no image'));
      return;
    }
    const canvas = h('canvas', { class: 'rv-heat', 'aria-hidden': 'true' });
    card.stage.style.setProperty('--ratio', picture.width / picture.height);
    card.stage.classList.add('rv-filled');
    card.stage.replaceChildren(h('img', { src: picture.src, alt: name }), canvas);
    if (!heat) return;
    const maps = viewOf(heat, this.view).map((grid) => ({ grid, shares: sharesOf(heat, grid, [0]) }));
    const known = maps.filter(({ shares }) => shares);
    const peak = Math.max(0, ...known.map(({ grid, shares }) => peakOf(grid, shares).share));
    paintHeat(
      canvas,
      known.filter(({ grid }) => grid.image === 0),
      known.length ? scaleTop(known, peak) : 0,
    );
  }

  async load(first, last) {
    const { list, version } = this;
    const visible = [...list.positions.subarray(first, last)];
    const names = visible.filter((position) => !list.cards.get(position));
    if (names.length) list.load(first, last);
    const wanted = visible.filter((position) => !this.tiles.get(position) && !this.asked.has(position)).slice(0, PER_REQUEST);
    if (!wanted.length || this.asked.size >= 2 * PER_REQUEST) return;
    for (const position of wanted) this.asked.add(position);
    try {
      const found = await this.fetch(wanted);
      if (version !== this.version) return;
      for (const position of wanted) this.tiles.set(position, found[position] || { picture: null, heat: null });
    } catch {
      // requested again at the next drawing
    }
    if (version !== this.version) return;
    for (const position of wanted) this.asked.delete(position);
    this.later();
  }
}
