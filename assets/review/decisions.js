// Decisions: shown at once as being saved, sent one after another, taken back on the page where the server refuses.

const reviewer = () => part('reviewer').value.trim();

function decide(choice) {
  const position = list.current;
  const card = list.cards.get(position);
  if (position === null || !card) return;
  const kept = samples.get(position);
  const before = list.marks[position];
  const note = part('note').value.trim();
  mark(position, choice);
  list.pending.add(position);
  drafts.set(position, note);
  outbox.push({ kind: 'one', id: card.id, position, choice, note, before });
  if (kept) kept.then((sample) => { sample.decision = { choice, note, reviewer: reviewer() }; });
  const next = list.nextUndecided();
  if (next >= 0) openIndex(next);
  else {
    panel.mark(list.marks[position]);
    showSaved('Every sample in this list is decided.');
  }
  showCounts();
}

function decideMany(choice) {
  const positions = bulkPositions();
  if (positions.length) outbox.push({ kind: 'many', positions, choice });
}

// The selection if there is one, otherwise what is undecided in the list.
function bulkPositions() {
  if (list.selected.size) return [...list.positions].filter((position) => list.selected.has(position));
  return [...list.positions].filter((position) => !decidedBits(list.marks[position]));
}

function mark(position, choice) {
  list.marks[position] = (list.marks[position] & FLAGGED) | (choice === 'accept' ? ACCEPTED : choice === 'reject' ? REJECTED : 0);
}

async function deliver(item) {
  try {
    if (item.kind === 'undo') await deliverUndo();
    else if (item.kind === 'many') await deliverMany(item);
    else await deliverOne(item);
    later();
  } catch (error) {
    refuse(item, wordsOf(error));
  }
  showCounts();
  list.refresh();
}

async function deliverOne(item) {
  const { id, choice, note, position } = item;
  const { batch } = await call('review_decide', place, { id, choice, note, reviewer: reviewer() });
  undoable.push(batch);
  drafts.delete(position);
  list.pending.delete(position);
  showSaved(`Saved: ${choice}ed ${id}.`);
}

async function deliverMany(item) {
  const { positions, choice } = item;
  const { batch, count: number } = await call('review_decide', place, { positions, choice, note: '', reviewer: reviewer() });
  undoable.push(batch);
  for (const position of positions) {
    mark(position, choice);
    samples.delete(position);
  }
  list.unselect();
  say(`${choice === 'accept' ? 'Accepted' : 'Rejected'} ${count(number, 'sample')}.`, [['Undo', undo]]);
  if (list.current !== null) panel.mark(list.marks[list.current]);
}

async function deliverUndo() {
  const { batch, count: number, choice, id, position, marks } = await call('review_undo', place, { batch: undoable[undoable.length - 1] || '', reviewer: reviewer() });
  const at = undoable.indexOf(batch);
  if (at >= 0) undoable.splice(at, 1);
  list.marks = bytesOf(marks);
  samples.clear();
  say(number === 1 ? `Undone: ${id} is not ${choice}ed any more.` : `Undone: ${count(number, 'decision')}.`);
  const index = list.positions.indexOf(position);
  if (number === 1 && index >= 0) openIndex(index);
  else if (list.current !== null) panel.mark(list.marks[list.current]);
}

function undo() {
  outbox.push({ kind: 'undo' });
}

function refuse(item, words) {
  if (item.kind !== 'one') {
    complain(words, item.kind === 'many' ? [['Try again', () => outbox.push(item)]] : []);
    return;
  }
  list.pending.delete(item.position);
  list.marks[item.position] = item.before;
  samples.delete(item.position);
  unsaved.push(item);
  complain({ problem: `${count(unsaved.length, 'decision')} not saved: ${words.problem}`, remedy: words.remedy }, [
    ['Try again', () => {
      for (const again of unsaved.splice(0)) {
        mark(again.position, again.choice);
        list.pending.add(again.position);
        outbox.push(again);
      }
      list.refresh();
    }],
    ['Show it', () => openPosition(item.position)],
  ]);
}

// The other tabs hear of decisions once, after a burst.
function later() {
  clearTimeout(telling);
  telling = setTimeout(() => (outbox.empty ? trigger('decided', {}) : later()), TELL_AFTER);
}

function keepDraft() {
  const position = list.current;
  if (position === null) return;
  const text = part('note').value.trim();
  const known = samples.get(position);
  if (known && text) drafts.set(position, text);
}

function noteChanged() {
  const position = list.current;
  if (position === null) return;
  const bits = list.marks[position];
  const card = list.cards.get(position);
  const note = part('note').value.trim();
  drafts.set(position, note);
  if (!decidedBits(bits) || !card) return;
  const choice = bits & ACCEPTED ? 'accept' : 'reject';
  outbox.push({ kind: 'one', id: card.id, position, choice, note, before: bits });
  samples.delete(position);
}
