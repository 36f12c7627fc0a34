// Sends decisions, undos and redos to the server. If the server refuses one, the page reverts it.

import { adopt, bitsOf, done, made, mark, redo, sameChoice, undo, undone } from './decisions.js';
import { bytesOf, count } from './dom.js';
import { showCounts, showSaved } from './filters.js';
import { showConflict, showError, showMessage, showUnsaved } from './messages.js';
import { trigger } from './page.js';
import { call, wordsOf } from './requests.js';
import { list, openIndex, openPosition, outbox, panel } from './review.js';
import { drafts, samples, state } from './state.js';
import { refreshMarks, tellOtherTabs } from './sync.js';

export const unsaved = []; // decisions that the server refused
const TELL_AFTER = 900; // ms after the last decision until the other tabs are informed
let telling = null;

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
  if (item.kind === 'undo' && !item.of) state.undoing -= 1;
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
  showUnsaved({ problem: `${count(unsaved.length, 'decision')} not saved: ${words.problem}`, remedy: words.remedy }, [
    ['Try again', sendAgain],
    ['Show the sample', () => openPosition(item.position), true],
  ]);
}

// A sample that was decided otherwise since keeps the newer decision.
function sendAgain() {
  const open = unsaved.splice(0).filter((item) => sameChoice(list.marks[item.position], item.before));
  for (const item of open) {
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
