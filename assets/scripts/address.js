// Keeps in the page's address what the page shows: its run, tab, filters and sample. So a link opens the same view, and
// the browser's Back and Forward work.
//
//   get('sample')                         the value in the address, '' if there is none
//   set({ show: 'all', sample: 's1' })    changes the address; '' or null removes a name
//   set({ tab: 'scan' }, { push: true })  also makes a new entry in the browser's history; push: false never does
//   onChange((changed) => ...)            after Back or Forward, with the set of the names whose values changed
//
// A new value of `run` always makes a new entry and removes all names but `tab`: filters and samples belong to one run.

// Gradio itself uses the names view, ui, deep_link and those that begin with two underscores.
const NAMES = ['run', 'tab', 'sample', 'show', 'sort', 'question', 'answer', 'text', 'layer', 'head', 'picture', 'mode', 'other'];
const LONGEST = 500; // characters of a value; longer ones are left out
const listeners = new Set();
let shown = read();

function read() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
}

export function get(name) {
  return shown[name] || '';
}

export function set(changes, { push = null } = {}) {
  const run = changes.run ?? get('run');
  const moved = run !== get('run');
  const before = moved ? { tab: get('tab') } : shown;
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
  shown = read();
  const changed = new Set(NAMES.filter((name) => (before[name] || '') !== (shown[name] || '')));
  if (changed.size) for (const listener of [...listeners]) listener(changed);
});
