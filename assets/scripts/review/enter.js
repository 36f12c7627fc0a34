// Shows the first sample before Gradio has sent the session. One request returns the list, the first sample and its
// image. AFTER_REVIEW in bye_core/ui/app.py waits for the event "bye-entered", which main.js sends after this.

import { get } from '../address.js';
import { storedValue, storeValue } from './dom.js';
import { followLook, linkedLook, linkedQuery, linkedSample } from './link.js';
import { pictureAt } from './loading.js';
import { props } from './page.js';
import { call } from './requests.js';
import { showQueue } from './review.js';
import { markEntered, state } from './state.js';

function storedContext() {
  try {
    return JSON.parse(storedValue('place', '')) || {};
  } catch {
    return {};
  }
}

// Stores the visitor's token as Gradio does. Anybody who can read this browser's storage can act as the visitor.
export function storeContext() {
  storeValue('place', JSON.stringify(state.context));
}

export async function enter() {
  const { visitor = '', run = '' } = storedContext();
  try {
    const asked = get('run') || props.asked;
    // The visitor's project has no run yet. The server would return the demo, which the session then replaces.
    if (visitor && !run && !asked) return;
    const link = { query: linkedQuery(asked), sample: linkedSample(asked) };
    const answer = await call('review_enter', { visitor }, { asked, kept: run, ...link });
    if (state.session.run === undefined) await openFirst(visitor, answer);
  } catch {
    // Gradio's session arrives later and reports the error.
  } finally {
    markEntered();
  }
}

async function openFirst(visitor, { run, query, list: listing, first }) {
  state.context = { visitor, run };
  state.session = { visitor, run, stamp: listing.stamp, revision: 0 };
  state.query = { ...state.query, ...query };
  const look = linkedLook(run);
  showQueue(listing, null, first);
  followLook(look);
  if (!first?.picture) return;
  await pictureAt(first.position, 0).catch(() => {});
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
}
