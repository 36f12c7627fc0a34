// Keeps in the page's address what the page shows: its run, tab, filters and sample. So a link opens the same view, and
// the browser's Back and Forward work.
//
//   get('sample')                         the value in the address, '' if there is none
//   set({ show: 'all', sample: 's1' })    changes the address; '' or null removes a name
//   set({ tab: 'scan' }, { push: true })  also makes a new entry in the browser's history; push: false never does
//   onChange((changed) => ...)            after Back or Forward, with the set of the names whose values changed
//
// Only shell.js changes the run, with { move: true }: that makes a new entry and removes all names but `tab`, because filters
// and samples belong to one run. What a view says about another run waits until the address names that run.

// Gradio itself uses the names view, ui, deep_link and those that begin with two underscores.
const NAMES = ['run', 'tab', 'sample', 'show', 'sort', 'question', 'answer', 'text', 'layer', 'head', 'picture', 'mode', 'other'];
const LONGEST = 500; // characters of a value; longer ones are left out
const listeners = new Set();
let shown = read();
let waiting = {}; // the changes of a view whose run the address does not name yet

function read() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
}

export function get(name) {
  return shown[name] || '';
}

export function set(changes, { push = null, move = false } = {}) {
  const run = changes.run ?? get('run');
  const moved = run !== get('run');
  if (moved && get('run') && !move) {
    waiting = changes;
    return;
  }
  const before = moved ? { tab: get('tab'), ...(waiting.run === run ? waiting : {}) } : shown;
  waiting = {};
  const values = { ...before, ...changes };
  const query = new URLSearchParams(location.search);
  for (const name of NAMES) {
    const value = String(values[name] ?? '');
    if (value && value.length <= LONGEST) query.set(name, value);
    else query.delete(name);
  }
  const search = query.toString();
  if (search === new URLSearchParams(location.search).toString()) return;
  const address = `${location.pathname}${search && `?${search}`}${location.hash}`;
  // The first run is no new entry: Back must leave the page, not return to the same view without a name.
  const entry = push ?? Boolean(moved && get('run'));
  history[entry ? 'pushState' : 'replaceState'](history.state, '', address);
  shown = read();
}

export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

addEventListener('popstate', () => {
  const before = shown;
  waiting = {};
  shown = read();
  const changed = new Set(NAMES.filter((name) => (before[name] || '') !== (shown[name] || '')));
  if (changed.size) for (const listener of [...listeners]) listener(changed);
});
