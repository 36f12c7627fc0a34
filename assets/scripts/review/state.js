// What the page shows and has fetched, shared by all modules of Review.

import { Recent } from './dom.js';

export const state = {
  context: { visitor: '', run: '' }, // what every request is about
  session: {}, // the latest value of the session
  listing: null, // the latest answer with a list of samples
  query: { show: 'flagged', sort: 'suspicious', text: '', question: null, answer: null, picked: null },
  savedMarks: new Uint8Array(0), // marks as they are on disk; all counts of the page are made from these
};

export const EVERYTHING = { show: 'all', text: '', question: null, answer: null, picked: null };

export const samples = new Recent(40);
export const pictures = new Recent(40);
export const drafts = new Map(); // notes that are typed and not saved yet, by position

// Resolved when a sample is on the screen, or when nothing will be shown.
let resolveEntered;
export const entered = new Promise((resolve) => {
  resolveEntered = resolve;
});
export const markEntered = () => resolveEntered();
