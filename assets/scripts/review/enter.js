// The session comes late (Gradio connects, then asks). The page opens by itself what it will find there: one question
// brings the list, the first sample and its picture. AFTER_REVIEW in bye_core/ui/app.py waits for what is said here.

import { storedValue, storeValue } from './dom.js';
import { props } from './page.js';
import { call } from './requests.js';
import { pictureAt, showQueue } from './review.js';
import { EVERYTHING, markEntered, state } from './state.js';

function storedContext() {
  try {
    return JSON.parse(storedValue('place', '')) || {};
  } catch {
    return {};
  }
}

// The visitor's token is kept as Gradio keeps it: whoever reads this browser's store can act as the visitor.
export function storeContext() {
  storeValue('place', JSON.stringify(state.context));
}

export async function enter() {
  const { visitor = '', run = '' } = storedContext();
  try {
    const answer = await call('review_enter', { visitor }, { asked: props.asked, kept: run });
    if (state.session.run === undefined) await openFirst(visitor, answer);
  } catch {
    // The session says what is open, and what is wrong with it.
  } finally {
    markEntered();
  }
}

async function openFirst(visitor, { run, flagged, list: listing, first }) {
  state.context = { visitor, run };
  state.session = { visitor, run, stamp: listing.stamp, revision: 0 };
  state.query = { ...state.query, ...EVERYTHING, show: flagged ? 'flagged' : 'all' };
  showQueue(listing, null, first);
  if (!first?.picture) return;
  await pictureAt(first.position, 0).catch(() => {});
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
}
