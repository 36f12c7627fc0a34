// The state of the page and the fetched data, shared by all modules of Review.

import { Recent } from './dom.js';

export const state = {
  context: { visitor: '', run: '' }, // the visitor and run of every request
  session: {}, // the latest value of the session
  listing: null, // the latest response with a list of samples
  query: { show: 'flagged', sort: 'suspicious', text: '', question: null, answer: null, picked: null },
  decided: null, // changes with each change of the decisions on disk
  newest: '', // the last batch of decisions that the page knows
  back: null, // {position, id, query, to}: where the user came from when the sample `to` was opened
  undoing: 0, // running undos whose sample only the server knows
  savedMarks: new Uint8Array(0), // the marks that are on disk; all counts on the page use them
};

export const EVERYTHING = { show: 'all', text: '', question: null, answer: null, picked: null };

export const samples = new Recent(40);
export const pictures = new Recent(40);
export const drafts = new Map(); // typed notes that are not saved yet, by position

// Resolved when a sample is shown, or when it is known that no sample will be shown.
let resolveEntered;
export const entered = new Promise((resolve) => {
  resolveEntered = resolve;
});
export const markEntered = () => resolveEntered();
