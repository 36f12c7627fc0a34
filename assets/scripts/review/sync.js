// Shows the decisions of other tabs and reviewers: asks at short intervals, on focus, and when a tab of this browser
// says that it has saved a decision.

import { trigger } from './page.js';
import { call } from './requests.js';
import { ask, outbox } from './review.js';
import { adoptMarks } from './saving.js';
import { state } from './state.js';

const EVERY = 1500; // ms between two requests
const AFTER_FAILURE = 15000;
const channel = new BroadcastChannel('bye-decisions');
let timer = null;
let running = null;

export const tellOtherTabs = () => channel.postMessage(state.context.run);

// Requests the marks after the decisions that are on their way.
export async function refreshMarks() {
  await outbox.idle();
  await running;
  await synchronise();
}

function synchronise() {
  running ??= request().finally(() => {
    running = null;
  });
  return running;
}

async function request() {
  const [here, before] = [state.context, outbox.count];
  if (!here.run || !state.listing || !outbox.empty) return;
  const answer = await call('review_marks', here, { known: state.decided, newest: state.newest });
  // A decision made in the meantime makes these marks outdated: the next request shows them.
  if (here !== state.context || before !== outbox.count || !state.listing) return;
  if (answer.stamp !== state.listing.stamp) {
    await ask({}); // another scan or detection
    trigger('decided', {});
  } else if (adoptMarks(answer)) trigger('decided', {}); // the header and the other tabs of the page follow
}

async function tick() {
  clearTimeout(timer);
  let wait = EVERY;
  try {
    if (!document.hidden) await synchronise();
  } catch {
    wait = AFTER_FAILURE;
  }
  clearTimeout(timer);
  timer = setTimeout(tick, wait);
}

export function startSync() {
  channel.addEventListener('message', ({ data }) => data === state.context.run && tick());
  addEventListener('focus', tick);
  document.addEventListener('visibilitychange', () => document.hidden || tick());
  timer = setTimeout(tick, EVERY);
}
