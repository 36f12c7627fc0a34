// What surrounds the sample: messages, filters, counts, keys; and the start.

function message(kind, words, actions = []) {
  const box = h('div', { class: `rv-message rv-${kind}`, role: kind === 'error' ? 'alert' : 'status' }, ...words);
  for (const [label, act] of actions) {
    box.append(button(label, {}, () => {
      box.remove();
      act();
    }));
  }
  box.append(button('Close', { class: 'rv-link' }, () => box.remove()));
  return box;
}

function complain(words, actions) {
  const box = message('error', [h('strong', {}, words.problem), ` ${words.remedy}`], actions);
  part('messages').replaceChildren(box);
}

let saying = null;

function say(text, actions = []) {
  const box = message('done', [text], actions);
  part('messages').replaceChildren(box);
  clearTimeout(saying);
  saying = setTimeout(() => box.remove(), actions.length ? 20000 : 5000);
}

// The quiet word under the buttons, one keystroke after another.
function showSaved(text) {
  part('progress').dataset.said = text;
  showProgress();
}

function showProgress() {
  let flagged = 0;
  let done = 0;
  let decided = 0;
  for (const bits of saved) {
    if (bits === UNSCANNED) continue;
    const one = decidedBits(bits);
    decided += one;
    flagged += bits & FLAGGED;
    done += one && bits & FLAGGED;
  }
  const saving = list.pending.size;
  const words = flagged
    ? `${done.toLocaleString('en')} of ${flagged.toLocaleString('en')} flagged reviewed`
    : `${count(decided, 'sample')} decided`;
  part('progress').replaceChildren(
    h('span', {}, words), flagged ? h('progress', { max: flagged, value: done, 'aria-label': words }) : '',
    h('span', { class: 'rv-hint' }, saving ? `saving ${saving} ...` : part('progress').dataset.said || ''),
  );
}

function showCounts() {
  if (!facts) return;
  const totals = Object.fromEntries(Object.keys(SHOWS).map((name) => [name, 0]));
  for (const bits of saved) {
    if (bits === UNSCANNED) continue;
    totals.all += 1;
    if (bits & FLAGGED) totals.flagged += 1;
    if (bits & ACCEPTED) totals.accepted += 1;
    else if (bits & REJECTED) totals.rejected += 1;
    else totals.undecided += 1;
    if (stateOf(bits).note) totals.contrary += 1;
  }
  for (const option of part('show').options) option.textContent = `${SHOWS[option.value]} (${totals[option.value].toLocaleString('en')})`;
  showBulk();
  showPlace();
  showProgress();
}

function showBulk() {
  const picked = list.selected.size;
  const number = bulkPositions().length;
  for (const [name, verb] of [['bulk-accept', 'Accept'], ['bulk-reject', 'Reject']]) {
    part(name).textContent = `${verb} ${picked ? '' : 'all '}${number.toLocaleString('en')}`;
    part(name).title = picked
      ? `${verb} the selected samples; one undo takes it back`
      : `${verb} every sample in this list that nobody has decided; one undo takes it back`;
    part(name).disabled = !number;
  }
  part('unselect').hidden = !picked;
  part('picked').hidden = query.picked === null;
  part('many').textContent = picked ? `${number.toLocaleString('en')} selected` : `${number.toLocaleString('en')} undecided`;
}

function showPlace() {
  const total = list.positions.length;
  part('count').textContent = total ? `${(list.cursor + 1).toLocaleString('en')} of ${total.toLocaleString('en')}` : 'none';
}

function showNotice(notice) {
  part('notice').hidden = !notice;
  if (notice) part('notice').replaceChildren(h('strong', {}, notice.problem), ` ${notice.remedy}`);
}

function facetOptions(name, facets, chosen) {
  const known = facets.some((facet) => facet.position === chosen);
  const options = [h('option', { value: '' }, 'any')];
  if (chosen !== null && !known) options.push(h('option', { value: chosen }, `as in ${(list.cards.get(chosen) || { id: 'this sample' }).id}`));
  options.push(...facets.map((facet) => h('option', { value: facet.position }, `${facet.text || '(empty)'} (${facet.count.toLocaleString('en')})`)));
  part(name).replaceChildren(...options);
  part(name).value = chosen === null ? '' : String(chosen);
}

function showFacets() {
  // The page of a sample names its own place; the list of facets names the first sample with that text.
  facetOptions('question', facts.questions, query.question);
  facetOptions('answer', facts.answers, query.answer);
  part('show').value = query.show;
  part('sort').value = query.sort;
  if (document.activeElement !== part('text')) part('text').value = query.text;
}

// An empty page says why, and what to do about it.
function teach() {
  const box = part('teach');
  const bare = !place.run || !list.positions.length;
  part('page').classList.toggle('rv-bare', bare);
  box.hidden = !bare;
  if (!place.run) {
    box.replaceChildren(h('p', {}, 'No run is open. Open the demo or choose a data set in Data, then scan it: its samples appear here.'));
  } else if (bare && !list.marks.some((bits) => bits !== UNSCANNED)) {
    box.replaceChildren(h('p', {}, 'No sample is scanned yet. Start the scan in Scan: samples appear here as they come in.'));
  } else if (bare) {
    const flagged = query.show === 'flagged' && !query.text && query.question === null && query.answer === null;
    const words = flagged && facts.detected ? 'Nothing is flagged: no evidence of poisoning.' : flagged ? 'Nothing is detected yet.' : 'Nothing matches this filter.';
    box.replaceChildren(h('p', {}, words), button('Show all samples', {}, () => ask(EVERYTHING)));
  }
}

function step(by) {
  openIndex(Math.min(list.positions.length - 1, Math.max(0, list.cursor + by)));
}

function skip() {
  const next = list.nextUndecided();
  if (next >= 0 && next !== list.cursor) openIndex(next);
  else step(1);
}

const KEYS = {
  a: () => decide('accept'), r: () => decide('reject'), s: skip, u: undo, j: () => step(1), k: () => step(-1),
  x: () => list.cursor >= 0 && list.select(list.cursor, !list.selected.has(list.current), false),
  arrowdown: () => step(1), arrowright: () => step(1), arrowup: () => step(-1), arrowleft: () => step(-1),
};
const ONCE = ['a', 'r', 's', 'u', 'x']; // a key held down decides on one sample only

function typing(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.closest('textarea, select, [contenteditable=""], [contenteditable="true"]')) return true;
  const field = target.closest('input');
  if (!field) return Boolean(target.closest('[role="tab"]') && key.startsWith('arrow'));
  return !['range', 'checkbox'].includes(field.type) || (field.type === 'range' && key.startsWith('arrow'));
}

function onkey(event) {
  if (!element.isConnected) {
    document.removeEventListener('keydown', onkey);
    return;
  }
  const key = event.key.toLowerCase();
  const act = KEYS[key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (!element.getClientRects().length || !part('keys').checked || typing(event.target, key)) return;
  if (document.querySelector('dialog[open], [aria-modal="true"]')) return;
  event.preventDefault();
  if (event.repeat && ONCE.includes(key)) return;
  act();
}

function opacity() {
  const value = Number(part('opacity').value);
  part('page').style.setProperty('--heat', value / 100);
  part('opacity-value').textContent = `${value}%`;
}

function start() {
  part('show').replaceChildren(...Object.entries(SHOWS).map(([value, text]) => h('option', { value }, text)));
  const facet = (name) => part(name).addEventListener('change', () => ask({ [name]: part(name).value === '' ? null : Number(part(name).value) }, false));
  ['question', 'answer'].forEach(facet);
  for (const name of ['show', 'sort']) part(name).addEventListener('change', () => ask({ [name]: part(name).value, picked: null }, false));
  let typed = null;
  part('text').addEventListener('input', () => {
    clearTimeout(typed);
    typed = setTimeout(() => ask({ text: part('text').value }, false), 150);
  });
  part('bulk-accept').addEventListener('click', () => decideMany('accept'));
  part('bulk-reject').addEventListener('click', () => decideMany('reject'));
  part('picked').addEventListener('click', () => ask({ picked: null }));
  part('unselect').addEventListener('click', () => list.unselect());
  part('layer').addEventListener('change', () => choose(Number.isNaN(Number(part('layer').value)) ? part('layer').value : Number(part('layer').value)));
  part('opacity').addEventListener('input', opacity);
  const acts = { accept: KEYS.a, reject: KEYS.r, skip, undo, next: KEYS.j, previous: KEYS.k };
  for (const [name, act] of Object.entries(acts)) part(name).addEventListener('click', act);
  part('note').addEventListener('change', noteChanged);
  // Done with typing: the keys decide again.
  for (const name of ['note', 'reviewer', 'text']) {
    part(name).addEventListener('keydown', (event) => ['Enter', 'Escape'].includes(event.key) && part(name).blur());
  }
  part('reviewer').value = kept('reviewer', '');
  part('reviewer').addEventListener('change', () => keep('reviewer', reviewer()));
  part('keys').checked = kept('keys', 'on') === 'on';
  part('keys').addEventListener('change', () => keep('keys', part('keys').checked ? 'on' : 'off'));
  document.addEventListener('keydown', onkey);
  addEventListener('beforeunload', (event) => {
    if (element.isConnected && !(outbox.empty && !unsaved.length)) event.preventDefault();
  });
  opacity();
}

// The session has changed: another run, a sample to open, another detection, or decisions made elsewhere.
async function look() {
  const value = props.value || {};
  if (value.run === undefined) return; // the session is not there yet
  const before = seen;
  seen = value;
  sayEntered();
  // On one's own machine the first run is opened before the visitor is known (enter.js).
  const here = value.run === before.run && (value.visitor === before.visitor || !before.visitor);
  if (!here) {
    place = { visitor: value.visitor || '', run: value.run || '' };
    for (const known of [samples, pictures, list.cards, list.thumbnails, list.selected, list.pending, drafts]) known.clear();
    for (const known of [made, unsaved]) known.length = 0;
    list.cursor = -1;
    facts = null;
    if (place.run) await ask({ ...EVERYTHING, show: value.flagged ? 'flagged' : 'all' }, false);
    else teach();
  } else if (place.run && value.stamp !== before.stamp) {
    await ask({});
  } else if (place.run && value.revision !== before.revision) {
    await refreshMarks().catch(() => {});
  }
  if (value.visitor) {
    place.visitor = value.visitor;
    remember();
  }
  const selection = value.selection || [];
  if (!place.run || !(selection.length || value.sample)) return;
  if (selection.length) await ask({ ...EVERYTHING, picked: selection }, false);
  if (value.sample) {
    const { position } = await call('review_sample', place, { id: value.sample }).catch((error) => (complain(wordsOf(error), []), {}));
    if (position !== undefined) await openPosition(position);
  }
  trigger('opened', {});
}

start();
entered.then(() => {
  document.documentElement.dataset.entered = '';
  document.dispatchEvent(new Event('bye-entered'));
});
watch('value', look);
look();
if (seen.run === undefined) enter();
