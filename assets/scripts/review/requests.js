// Sends requests to Python (bye_core/ui/tabs/review/actions.py). Requests for the shown sample precede prefetching.

import { callServer } from './page.js';
import { state } from './state.js';

export class RequestError extends Error {
  constructor(words) {
    super(words.problem);
    this.words = words;
  }
}

const NO_ANSWER = {
  problem: 'The server does not answer.',
  remedy: 'Check that it is running. Then send the decisions that are not marked as saved again.',
};

export const wordsOf = (error) => (error instanceof RequestError ? error.words : NO_ANSWER);

// `context` = {visitor, run} names the run of the request. Throws RequestError.
export async function call(name, context, ask = {}) {
  let text;
  try {
    text = await callServer(name, { ...ask, ...context });
  } catch (error) {
    console.error(name, error);
    throw new RequestError(NO_ANSWER);
  }
  const answer = JSON.parse(text);
  if (answer.error) throw new RequestError(answer.error);
  return answer;
}

// A browser opens at most six connections to one server. Prefetching may take two, so that decisions never wait.
const CONNECTIONS = 2;

export class Prefetcher {
  constructor() {
    this.waiting = [];
    this.running = 0;
  }

  // Replaces the waiting jobs. Jobs for samples that the user has already passed are dropped.
  replace(jobs) {
    this.waiting = jobs;
    this.pump();
  }

  pump() {
    while (this.running < CONNECTIONS && this.waiting.length) {
      this.running += 1;
      Promise.resolve(this.waiting.shift()())
        .catch(() => {}) // the error is shown when the user opens the sample
        .finally(() => {
          this.running -= 1;
          this.pump();
        });
    }
  }
}

// Sends decisions one after another, in the order in which they were made. Each goes to the run in which it was made,
// even if another run is open now.
export class Outbox {
  constructor(send) {
    this.send = send;
    this.items = [];
    this.count = 0; // of all items ever added
    this.busy = false;
  }

  get empty() {
    return !this.items.length;
  }

  // Resolves when every item that is waiting now has been sent.
  async idle() {
    const until = this.count;
    while (!this.empty && this.count - this.items.length < until) await new Promise((go) => setTimeout(go, 20));
  }

  push(item) {
    item.context ??= state.context;
    this.items.push(item);
    this.count += 1;
    this.pump();
  }

  async pump() {
    if (this.busy) return;
    this.busy = true;
    while (this.items.length) {
      await this.send(this.items[0]);
      this.items.shift();
    }
    this.busy = false;
  }
}
