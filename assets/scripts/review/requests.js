// Requests to Python (bye_core/ui/tabs/review/actions.py). Requests that show a sample go first; prefetching waits.

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
  remedy: 'Check that it is running. Decisions shown as saved are saved; send the others again.',
};

export const wordsOf = (error) => (error instanceof RequestError ? error.words : NO_ANSWER);

// `context` = {visitor, run}: what the request is about. Throws RequestError.
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

  // Replaces the jobs that wait: those of samples passed by are dropped.
  replace(jobs) {
    this.waiting = jobs;
    this.pump();
  }

  pump() {
    while (this.running < CONNECTIONS && this.waiting.length) {
      this.running += 1;
      Promise.resolve(this.waiting.shift()())
        .catch(() => {}) // shown when the sample itself is opened
        .finally(() => {
          this.running -= 1;
          this.pump();
        });
    }
  }
}

// Sends decisions one after another, in the order in which they were made. Each goes to the run in which it was made,
// whatever is open meanwhile.
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
