// Makes and undoes decisions. The page shows each at once and sends it (saving.js).

import { confirmed } from './dialog.js';
import { count } from './dom.js';
import { showCounts } from './filters.js';
import { decidedBits } from './list.js';
import { showMessage } from './messages.js';
import { askName, reviewer } from './name.js';
import { keepDraft } from './notes.js';
import { ACCEPTED, FLAGGED, part, REJECTED } from './page.js';
import { list, openIndex, outbox, panel } from './review.js';
import { drafts, samples, state } from './state.js';

export const made = []; // decisions of this page that are not undone, oldest first; `batch` is known after saving
export const undone = []; // ids of the batches that this page has undone and can make again, oldest first
const BULK = 20; // more samples, or unflagged ones, are decided only after a question

const CHOICE_BITS = ACCEPTED | REJECTED;
export const sameChoice = (one, other) => (one & CHOICE_BITS) === (other & CHOICE_BITS);
export const bitsOf = (choice) => (choice === 'accept' ? ACCEPTED : choice === 'reject' ? REJECTED : 0);
export const done = (choice) => (choice === 'accept' ? 'accepted' : 'rejected');

export function mark(position, bits, marks = list.marks) {
  marks[position] = (marks[position] & ~CHOICE_BITS) | (bits & CHOICE_BITS);
}

// Shows the marks that are on disk, changed by the decisions that are not saved yet.
export function adopt(marks) {
  state.savedMarks = marks;
  list.marks = marks.slice();
  for (const item of outbox.items.filter((one) => one.context === state.context && !one.sent)) {
    if (item.kind === 'one') mark(item.position, bitsOf(item.choice));
    else if (item.kind === 'undo' && item.of) mark(item.of.position, item.of.before);
  }
  list.refresh();
  if (list.current !== null && panel.sample) panel.mark(list.marks[list.current]);
}

export function decide(choice) {
  if (list.selected.size) {
    decideMany(choice);
    return;
  }
  const position = list.current;
  if (position === null) return;
  const card = list.cards.get(position);
  if (!card || state.undoing) {
    showMessage(
      state.undoing
        ? 'An undo is running. Decide again when it has ended.'
        : 'This sample is still loading. Decide again in a moment.',
    );
    return;
  }
  send(position, card.id, choice);
  const next = list.nextUndecided();
  if (next >= 0) openIndex(next);
  else {
    panel.mark(list.marks[position]);
    showMessage('Every sample in this list is decided. Open Export, or choose another list.');
  }
  showCounts();
}

function send(position, id, choice) {
  keepDraft();
  const item = { kind: 'one', id, position, choice, note: drafts.get(position), before: list.marks[position], by: reviewer() };
  mark(position, bitsOf(choice));
  list.pending.add(position);
  made.push(item);
  undone.length = 0;
  outbox.push(item);
  askName();
  const known = samples.get(position);
  if (known)
    known.then(
      (sample) => {
        sample.decision = { choice, note: item.note ?? '', reviewer: item.by };
      },
      () => {},
    );
}

export async function decideMany(choice) {
  const positions = bulkPositions();
  if (!positions.length || !(await mayDecide(choice, positions))) return;
  undone.length = 0;
  outbox.push({ kind: 'many', positions, choice, by: reviewer() });
  askName();
}

// Asks once, with numbers, before a decision on many samples or on samples that are not flagged.
async function mayDecide(choice, positions) {
  const bits = positions.map((position) => list.marks[position]);
  const unflagged = bits.filter((one) => !(one & FLAGGED)).length;
  if (positions.length <= BULK && !unflagged) return true;
  const changed = bits.filter((one) => decidedBits(one) && (one & CHOICE_BITS) !== bitsOf(choice)).length;
  const verb = `${choice === 'accept' ? 'Accept' : 'Reject'} ${count(positions.length, 'sample')}`;
  const number = (of) => `${of.toLocaleString('en')} of them ${of === 1 ? 'is' : 'are'}`;
  const sentences = [
    choice === 'accept' ? 'Accepted samples stay in the export.' : 'Rejected samples are left out of the export.',
    unflagged ? `${number(unflagged)} not flagged.` : 'All of them are flagged.',
    changed ? `${number(changed)} decided otherwise; this replaces the earlier decisions.` : '',
    'One undo reverts all.',
  ];
  return confirmed(`${verb}?`, sentences.filter(Boolean), verb);
}

// Returns the selected samples, or without a selection the undecided samples of the list.
export function bulkPositions() {
  if (list.selected.size) return [...list.positions].filter((position) => list.selected.has(position));
  return [...list.positions].filter((position) => !decidedBits(list.marks[position]));
}

// The page reverts its own last decision at once. For an older decision or a batch, it waits for the server's answer.
export function undo() {
  const of = made.length && made[made.length - 1].kind === 'one' ? made.pop() : null;
  if (of) {
    mark(of.position, of.before);
    list.pending.add(of.position);
    samples.delete(of.position);
    if (of.note !== undefined) drafts.set(of.position, of.note);
    const index = list.positions.indexOf(of.position);
    if (index >= 0) openIndex(index);
    showCounts();
  } else state.undoing += 1;
  outbox.push({ kind: 'undo', of, many: of ? null : made.pop(), by: reviewer() });
}

// Makes the decisions of the last undone step of this page again.
export function redo() {
  if (!undone.length) {
    showMessage('There is nothing to redo. The history lists all steps.');
    return;
  }
  redoStep(undone.pop());
}

// These two change any step of the history, also another reviewer's. They resolve when the server has answered.
export function undoStep(batch) {
  const own = made.findIndex((item) => item.batch === batch);
  if (own >= 0) made.splice(own, 1);
  state.undoing += 1;
  return sent({ kind: 'undo', of: null, many: { batch }, by: reviewer() });
}

export const redoStep = (batch) => sent({ kind: 'redo', batch, by: reviewer() });

function sent(item) {
  return new Promise((resolve) => outbox.push({ ...item, resolve }));
}

// If the sample is already decided, its note is saved by sending the same decision again.
export function noteChanged() {
  keepDraft();
  const position = list.current;
  const card = position === null ? null : list.cards.get(position);
  if (!card || !decidedBits(list.marks[position]) || !drafts.has(position)) return;
  send(position, card.id, list.marks[position] & ACCEPTED ? 'accept' : 'reject');
  part('note').dataset.was = drafts.get(position);
}
