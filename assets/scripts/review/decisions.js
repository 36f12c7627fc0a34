// Makes decisions. The page shows a decision at once and sends it. If the server refuses it, the page reverts it.

import { confirmed } from './dialog.js';
import { bytesOf, count } from './dom.js';
import { showCounts, showSaved } from './filters.js';
import { decidedBits } from './list.js';
import { showConflict, showError, showMessage } from './messages.js';
import { askName, reviewer } from './name.js';
import { ACCEPTED, FLAGGED, part, REJECTED, trigger } from './page.js';
import { call, wordsOf } from './requests.js';
import { list, openIndex, openPosition, outbox, panel } from './review.js';
import { drafts, samples, state } from './state.js';
import { refreshMarks, tellOtherTabs } from './sync.js';

export const made = []; // decisions of this page that are not undone, oldest first; `batch` is known after saving
const undone = []; // ids of the batches that this page has undone and can make again, oldest first
export const unsaved = []; // decisions that the server refused
const TELL_AFTER = 900; // ms after the last decision until the other tabs are informed
let telling = null;
let undoing = 0; // number of running undos whose sample only the server knows

const BULK = 20; // more samples, or unflagged ones, are decided only after a question

const CHOICE_BITS = ACCEPTED | REJECTED;
const bitsOf = (choice) => (choice === 'accept' ? ACCEPTED : choice === 'reject' ? REJECTED : 0);
export const done = (choice) => (choice === 'accept' ? 'accepted' : 'rejected');

function mark(position, bits, marks = list.marks) {
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
  if (!card || undoing) {
    showMessage(
      undoing ? 'An undo is running. Decide again when it has ended.' : 'This sample is still loading. Decide again in a moment.',
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
  } else undoing += 1;
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
  undoing += 1;
  return sent({ kind: 'undo', of: null, many: { batch }, by: reviewer() });
}

export const redoStep = (batch) => sent({ kind: 'redo', batch, by: reviewer() });

function sent(item) {
  return new Promise((resolve) => outbox.push({ ...item, resolve }));
}

export async function deliver(item) {
  try {
    const show = await { one: sendOne, many: sendMany, undo: sendUndo, redo: sendRedo }[item.kind](item);
    item.sent = true;
    tellOtherTabs();
    later();
    if (item.context === state.context) show();
  } catch (error) {
    if (item.context === state.context) refuse(item, wordsOf(error));
    else showError(wordsOf(error), []);
  }
  if (item.kind === 'undo' && !item.of) undoing -= 1;
  showCounts();
  list.refresh();
  item.resolve?.();
}

// Each of these functions sends an item. It returns a function that shows that the item is saved.
async function sendOne(item) {
  const { id, choice, note, by, position } = item;
  const words = { id, choice, reviewer: by, ...(note === undefined ? {} : { note }) };
  const answer = await call('review_decide', item.context, { ...words, newest: state.newest });
  item.batch = answer.batch;
  return () => {
    showConflicts(answer, choice);
    if (drafts.get(position) === note) drafts.delete(position);
    mark(position, bitsOf(choice), state.savedMarks);
    settled(item);
    showSaved(`Saved: ${done(choice)} ${id}.`);
  };
}

// Another reviewer decided otherwise after this page last read the decisions. The newer decision is valid.
function showConflicts({ conflicts, conflict_count: number }, choice) {
  if (!conflicts.length) return;
  const others = conflicts.map(
    ({ id, choice: other, reviewer: by }) => `${by || 'a reviewer without a name'} had ${done(other)} ${id}`,
  );
  const more = number > conflicts.length ? `, and ${count(number - conflicts.length, 'more decision')} differed` : '';
  showConflict(`${others.join(', ')}${more}. Your newer choice, ${done(choice)}, replaces this.`, [['Undo mine', undo]]);
}

function settled(item) {
  const about = (one) => (one.of || one).position;
  if (!outbox.items.some((other) => other !== item && about(other) === about(item))) list.pending.delete(about(item));
}

async function sendMany(item) {
  const { positions, choice, by } = item;
  const words = { positions, choice, reviewer: by, newest: state.newest };
  const answer = await call('review_decide', item.context, words);
  const number = answer.count;
  item.batch = answer.batch;
  return () => {
    made.push(item);
    for (const position of positions) {
      mark(position, bitsOf(choice));
      mark(position, bitsOf(choice), state.savedMarks);
      samples.delete(position);
    }
    list.unselect();
    showMessage(`${choice === 'accept' ? 'Accepted' : 'Rejected'} ${count(number, 'sample')}.`, [['Undo', undo]]);
    showConflicts(answer, choice);
    if (list.current !== null) panel.mark(list.marks[list.current]);
  };
}

async function sendUndo(item) {
  const { of, many, by } = item;
  const batch = (of || many)?.batch || '';
  if (of && !batch) return () => settled(item); // the decision was never saved
  const answer = await call('review_undo', item.context, { batch, reviewer: by });
  return () => {
    undone.push(answer.batch);
    if (of) {
      samples.delete(of.position);
      settled(item);
    } else samples.clear();
    adopt(bytesOf(answer.marks));
    const one = answer.count === 1;
    showSaved('');
    showMessage(
      one ? `Undone: ${answer.id} is no longer ${done(answer.choice)}.` : `Undone: ${count(answer.count, 'decision')}.`,
      [['Redo', redo]],
    );
    const index = list.positions.indexOf(answer.position);
    if (!of && one && index >= 0) openIndex(index);
    else reload();
  };
}

async function sendRedo(item) {
  const answer = await call('review_redo', item.context, { batch: item.batch, reviewer: item.by });
  return () => {
    made.push({ kind: 'many', batch: answer.batch });
    samples.clear();
    adopt(bytesOf(answer.marks));
    const one = answer.count === 1;
    showMessage(one ? `Redone: ${answer.id} is ${done(answer.choice)}.` : `Redone: ${count(answer.count, 'decision')}.`, [
      ['Undo', undo],
    ]);
    const index = list.positions.indexOf(answer.position);
    if (one && index >= 0) openIndex(index);
    else reload();
  };
}

// Shows the current sample again, with who decided on it.
function reload() {
  if (list.cursor >= 0) openIndex(list.cursor);
}

function refuse(item, words) {
  if (item.kind !== 'one') {
    showError(words, item.kind === 'many' ? [['Try again', () => outbox.push(item)]] : []);
    if (item.of) settled(item);
    if (words.kind === 'NothingToUndo')
      refreshMarks().catch(() => {}); // another reviewer has undone it
    else if (item.of) {
      made.push(item.of);
      mark(item.of.position, bitsOf(item.of.choice));
    }
    return;
  }
  settled(item);
  mark(item.position, item.before);
  samples.delete(item.position);
  if (outbox.items.some((other) => other.of === item)) return; // the user undid the decision before the server refused it
  if (made.includes(item)) made.splice(made.indexOf(item), 1);
  unsaved.push(item);
  showError({ problem: `${count(unsaved.length, 'decision')} not saved: ${words.problem}`, remedy: words.remedy }, [
    ['Try again', sendAgain],
    ['Show the sample', () => openPosition(item.position)],
  ]);
}

function sendAgain() {
  for (const item of unsaved.splice(0)) {
    mark(item.position, bitsOf(item.choice));
    list.pending.add(item.position);
    made.push(item);
    outbox.push(item);
  }
  list.refresh();
  showCounts();
}

// Shows newer marks of the server, also those of other reviewers. Returns whether any mark has changed.
export function adoptMarks({ marks, decided, newest, others = [] }) {
  state.decided = decided;
  state.newest = newest;
  if (!marks) return false;
  const saved = bytesOf(marks);
  const changed = [...saved.keys()].filter((position) => saved[position] !== state.savedMarks[position]);
  if (!changed.length) return false;
  for (const position of changed) samples.delete(position);
  adopt(saved);
  showCounts();
  const theirs = others.filter(({ batch }) => !made.some((item) => item.batch === batch));
  if (theirs.length) {
    const by = [...new Set(theirs.map(({ reviewer: name }) => name || 'another tab'))].join(', ');
    showSaved(
      `${by}: ${count(
        theirs.reduce((sum, one) => sum + one.count, 0),
        'new decision',
      )}`,
    );
  }
  if (changed.includes(list.current)) reload();
  return true;
}

// Informs the other tabs once after a series of decisions.
function later() {
  clearTimeout(telling);
  telling = setTimeout(() => (outbox.empty ? trigger('decided', {}) : later()), TELL_AFTER);
}

// Stores the note in the field as a draft of the sample for which the field was filled.
export function keepDraft() {
  const field = part('note');
  if (list.current !== null && field.dataset.of === String(list.current) && field.value.trim() !== (field.dataset.was || '')) {
    drafts.set(list.current, field.value.trim());
  }
}

export function fillNote(position, decision) {
  const field = part('note');
  const was = decision ? decision.note : '';
  if (field.dataset.of === String(position) && field.value.trim() !== (field.dataset.was || '')) return; // the user is typing
  field.dataset.of = position;
  field.dataset.was = was;
  field.value = drafts.get(position) ?? was;
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
