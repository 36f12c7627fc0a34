// Keeps what is typed into the field for notes, until it is saved with a decision.

import { part } from './page.js';
import { list } from './review.js';
import { drafts } from './state.js';

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
