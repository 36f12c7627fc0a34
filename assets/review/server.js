// Questions to Python (bye_core/ui/tabs/review/actions.py). What shows a sample goes first, what is only fetched ahead waits.

class Refused extends Error {
  constructor(words) {
    super(words.problem);
    this.words = words;
  }
}

const NO_ANSWER = {
  problem: 'The server does not answer.',
  remedy: 'Check that it is running. What the page calls saved is saved; the rest can be sent again.',
};

const wordsOf = (error) => (error instanceof Refused ? error.words : NO_ANSWER);

// `place` = {visitor, run}: what every question is about.
async function call(name, place, ask = {}) {
  let text;
  try {
    text = await server[name]({ ...ask, ...place });
  } catch (error) {
    console.error(name, error);
    throw new Refused(NO_ANSWER);
  }
  const answer = JSON.parse(text);
  if (answer.error) throw new Refused(answer.error);
  return answer;
}

// A browser opens six connections at most to one server: fetching ahead may take two, so that decisions never wait.
const AHEAD = 2;

class Ahead {
  constructor() {
    this.waiting = [];
    this.running = 0;
  }

  // Only the latest wishes count: those of samples passed by are dropped.
  wish(jobs) {
    this.waiting = jobs;
    this.pump();
  }

  pump() {
    while (this.running < AHEAD && this.waiting.length) {
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

// Decisions leave one after another, in the order in which they were made; each waits for the one before, and goes to
// the run in which it was made, whatever is open meanwhile.
class Outbox {
  constructor(send) {
    this.send = send;
    this.items = [];
    this.count = 0; // of all that was ever put in
    this.busy = false;
  }

  get empty() {
    return !this.items.length;
  }

  push(item) {
    item.place ??= place;
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
