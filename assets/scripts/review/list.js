// The list of samples. Only visible rows are in the page; their texts and thumbnails are fetched in pages.

import { h, Recent } from './dom.js';
import { ACCEPTED, DISPUTED, FLAGGED, REJECTED, SUSPECT, UNSCANNED } from './page.js';

const ROW = 64; // pixels, as in assets/review.css
const MARGIN = 6; // extra rows drawn above and below the visible ones
const PAGE = 48;

export const decidedBits = (bits) => bits !== UNSCANNED && (bits & (ACCEPTED | REJECTED)) !== 0;

// Every state has a word and a shape, not only a colour.
export function stateOf(bits) {
  const state = choiceState(bits);
  return bits & DISPUTED
    ? { ...state, note: [`${state.word}, but the reviewers disagree`, state.note].filter(Boolean).join('; ') }
    : state;
}

export function choiceState(bits) {
  if (bits & ACCEPTED) {
    return bits & FLAGGED
      ? { kind: 'kept', shape: '✓', word: 'accepted', note: 'accepted by hand, flagged now' }
      : { kind: 'kept', shape: '✓', word: 'accepted', note: '' };
  }
  if (bits & REJECTED) {
    return bits & FLAGGED
      ? { kind: 'dropped', shape: '✕', word: 'rejected', note: '' }
      : { kind: 'dropped', shape: '✕', word: 'rejected', note: 'rejected by hand, not flagged now' };
  }
  return bits & FLAGGED
    ? { kind: 'flagged', shape: '▲', word: 'flagged', note: '' }
    : bits & SUSPECT
      ? { kind: 'plain', shape: '△', word: 'worth a look', note: '' }
      : { kind: 'plain', shape: '○', word: 'not flagged', note: '' };
}

export class SampleList {
  // fetch: {cards(positions), thumbnails(positions)}; open(index); changed() after the selection has changed
  constructor(holder, fetch, open, changed) {
    this.holder = holder;
    this.fetch = fetch;
    this.open = open;
    this.changed = changed;
    this.positions = new Uint32Array(0);
    this.marks = new Uint8Array(0);
    this.pending = new Set();
    this.cards = new Recent(2000);
    this.thumbnails = new Recent(2000);
    this.selected = new Set();
    this.cursor = -1;
    this.anchor = -1;
    this.follower = null; // the grid, which shows the same samples
    this.rows = new Map();
    this.space = h('div', { class: 'rv-space' });
    holder.replaceChildren(this.space);
    holder.addEventListener('scroll', () => this.later());
    // The current row stays in sight when the layout changes.
    new ResizeObserver(() => {
      if (this.cursor >= 0) this.reveal(this.cursor);
      this.later();
    }).observe(holder);
  }

  get current() {
    return this.cursor >= 0 ? this.positions[this.cursor] : null;
  }

  // Shows other samples. Keeps `position` as the current sample if it is listed; returns whether it is listed.
  fill(positions, marks, position) {
    this.positions = positions;
    this.marks = marks;
    const listed = new Set(positions);
    for (const one of this.selected) if (!listed.has(one)) this.selected.delete(one);
    this.cursor = position === null ? -1 : positions.indexOf(position);
    this.anchor = this.cursor;
    this.space.style.height = `${positions.length * ROW}px`;
    for (const row of this.rows.values()) row.root.remove();
    this.rows.clear();
    this.later();
    this.follower?.later();
    return this.cursor >= 0;
  }

  go(index) {
    this.cursor = index;
    this.anchor = index;
    this.reveal(index);
    this.later();
    this.follower?.reveal(index);
    this.follower?.later();
  }

  // Scrolls no more than needed.
  reveal(index) {
    const top = index * ROW;
    const view = this.holder.clientHeight;
    if (top < this.holder.scrollTop) this.holder.scrollTop = top;
    else if (top + ROW > this.holder.scrollTop + view) this.holder.scrollTop = top + ROW - view;
  }

  // Returns the index of the next undecided sample; after the end, starts at the top. Returns -1 if there is none.
  nextUndecided() {
    const total = this.positions.length;
    for (let step = 1; step <= total; step++) {
      const index = (this.cursor + step) % total;
      if (!decidedBits(this.marks[this.positions[index]])) return index;
    }
    return -1;
  }

  select(index, on, range) {
    const [from, to] = range && this.anchor >= 0 ? [Math.min(this.anchor, index), Math.max(this.anchor, index)] : [index, index];
    for (let i = from; i <= to; i++) {
      if (on) this.selected.add(this.positions[i]);
      else this.selected.delete(this.positions[i]);
    }
    this.anchor = index;
    this.refresh();
    this.changed();
  }

  unselect() {
    this.selected.clear();
    this.refresh();
    this.changed();
  }

  later() {
    if (this.queued) return;
    this.queued = requestAnimationFrame(() => {
      this.queued = null;
      this.draw();
    });
  }

  draw() {
    if (!this.holder.clientHeight) return;
    const first = Math.max(0, Math.floor(this.holder.scrollTop / ROW) - MARGIN);
    const last = Math.min(this.positions.length, Math.ceil((this.holder.scrollTop + this.holder.clientHeight) / ROW) + MARGIN);
    for (const [index, row] of this.rows) {
      if (index < first || index >= last) {
        row.root.remove();
        this.rows.delete(index);
      }
    }
    for (let index = first; index < last; index++) {
      if (!this.rows.has(index)) {
        const row = this.row(index);
        this.rows.set(index, row);
        this.space.append(row.root);
      }
      this.update(index);
    }
    this.load(first, last);
  }

  refresh() {
    for (const index of this.rows.keys()) this.update(index);
    this.follower?.refresh();
  }

  row(index) {
    const check = h('input', { type: 'checkbox', class: 'rv-pick' });
    check.addEventListener('click', (event) => {
      event.stopPropagation();
      this.select(index, check.checked, event.shiftKey);
    });
    const row = {
      check,
      thumb: h('img', { alt: '', class: 'rv-thumb' }),
      id: h('span', { class: 'rv-id' }),
      text: h('span', { class: 'rv-text' }),
      bar: h('span', { class: 'rv-bar' }, h('i')),
      score: h('span', { class: 'rv-score' }),
      state: h('span', { class: 'rv-state' }),
    };
    row.face = h(
      'button',
      { type: 'button', class: 'rv-face' },
      row.thumb,
      h('span', { class: 'rv-words' }, row.id, row.text, h('span', { class: 'rv-meter' }, row.bar, row.score)),
      row.state,
    );
    row.face.addEventListener('click', (event) => {
      if (event.shiftKey) this.select(index, true, true);
      else this.open(index);
    });
    row.root = h(
      'div',
      { class: 'rv-row', role: 'listitem', style: `top: ${index * ROW}px`, 'aria-posinset': index + 1 },
      check,
      row.face,
    );
    return row;
  }

  update(index) {
    const row = this.rows.get(index);
    const position = this.positions[index];
    const card = this.cards.get(position);
    const bits = this.marks[position];
    const state = stateOf(bits);
    const waiting = this.pending.has(position);
    row.root.setAttribute('aria-setsize', this.positions.length);
    row.root.className = `rv-row rv-${state.kind}${index === this.cursor ? ' rv-current' : ''}${waiting ? ' rv-pending' : ''}${this.selected.has(position) ? ' rv-picked' : ''}`;
    row.face.setAttribute('aria-current', String(index === this.cursor));
    row.face.tabIndex = index === this.cursor ? 0 : -1;
    row.check.tabIndex = row.face.tabIndex;
    row.check.checked = this.selected.has(position);
    row.check.setAttribute('aria-label', `Select ${card ? card.id : 'sample'}`);
    row.id.textContent = card ? card.id : '';
    row.text.textContent = card ? card.answer || '(empty answer)' : '';
    row.text.title = card ? `${card.question}\n${card.answer}` : '';
    row.score.textContent = card ? (card.score === null ? 'no score' : card.score.toFixed(3)) : '';
    row.bar.firstChild.style.width = `${card?.score ? 100 * card.score : 0}%`;
    row.state.textContent = waiting ? '…' : state.shape + (state.note ? '!' : '');
    row.state.title = waiting ? 'saving' : state.note || state.word;
    row.state.setAttribute('aria-label', row.state.title);
    row.state.setAttribute('role', 'img');
    const source = this.thumbnails.get(position) || '';
    if (row.thumb.getAttribute('src') !== source) {
      if (source) row.thumb.src = source;
      else row.thumb.removeAttribute('src');
    }
  }

  // Fetches the missing data of visible rows. Only one request of each kind runs, so fast scrolling sends few requests.
  async load(first, last) {
    const lacking = (known) => [...this.positions.subarray(first, last)].filter((p) => known.get(p) === undefined).slice(0, PAGE);
    for (const [kind, known] of [
      ['cards', this.cards],
      ['thumbnails', this.thumbnails],
    ]) {
      const wanted = lacking(known);
      const flag = `loading-${kind}`;
      if (!wanted.length || this[flag]) continue;
      this[flag] = true;
      this.fetch[kind](wanted).then(
        (found) => {
          for (const position of wanted) if (found[position] !== undefined) known.set(position, found[position]);
          this[flag] = false;
          this.refresh();
          this.later();
        },
        () => {
          this[flag] = false; // requested again at the next drawing
        },
      );
    }
  }
}
