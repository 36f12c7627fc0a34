// Shows the counts, the progress and the filters of the list, and a message if the list is empty.

import { bulkPositions } from './decisions.js';
import { button, count, h } from './dom.js';
import { choiceState, decidedBits } from './list.js';
import { ACCEPTED, DISPUTED, FLAGGED, part, REJECTED, SUSPECT, UNSCANNED } from './page.js';
import { choose, list } from './review.js';
import { EVERYTHING, state } from './state.js';

// What an empty list of flagged samples means, by the verdict of the detection.
const NOTHING_FLAGGED = {
  no_evidence: 'No sample is flagged: there is no evidence of poisoning.',
  not_tested: 'No sample is flagged, but the data set was not tested.',
};

// The reason why the data set was not tested, with the buttons that mend it: the header listens to them.
function obstacle(reason) {
  if (!reason) return [];
  const buttons = reason.buttons.map(({ label, tab, statement, of }) => {
    const to = { 'data-tab': tab, 'data-statement': statement, 'data-of': of };
    return h('button', { type: 'button', class: 'bye-link', ...to }, label);
  });
  return [h('p', {}, reason.reason), h('p', {}, ...buttons.flatMap((mend, k) => (k ? [' or state: ', mend] : [mend])))];
}

// Shows a short confirmation under the buttons.
export function showSaved(text) {
  part('progress').dataset.said = text;
  showProgress();
}

export const SHOWS = {
  flagged: 'flagged',
  undecided: 'undecided',
  accepted: 'accepted',
  rejected: 'rejected',
  contrary: 'against the flag',
  disputed: 'reviewers disagree',
  suspects: 'worth a look',
  all: 'all',
};

function showProgress() {
  let flagged = 0;
  let done = 0;
  let decided = 0;
  for (const bits of state.savedMarks) {
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
    h('span', {}, words),
    flagged ? h('progress', { max: flagged, value: done, 'aria-label': words }) : '',
    h('span', { class: 'rv-hint' }, saving ? `saving ${saving} ...` : part('progress').dataset.said || ''),
  );
}

export function showCounts() {
  if (!state.listing) return;
  const totals = Object.fromEntries(Object.keys(SHOWS).map((name) => [name, 0]));
  for (const bits of state.savedMarks) {
    if (bits === UNSCANNED) continue;
    totals.all += 1;
    if (bits & FLAGGED) totals.flagged += 1;
    if (bits & ACCEPTED) totals.accepted += 1;
    else if (bits & REJECTED) totals.rejected += 1;
    else totals.undecided += 1;
    if (bits & SUSPECT) totals.suspects += 1;
    if (choiceState(bits).note) totals.contrary += 1;
    if (bits & DISPUTED) totals.disputed += 1;
  }
  for (const option of part('show').options)
    option.textContent = `${SHOWS[option.value]} (${totals[option.value].toLocaleString('en')})`;
  // Only some methods name samples that are worth a look, and reviewers seldom disagree.
  for (const option of part('show').options) {
    const { value } = option;
    option.hidden = ['suspects', 'disputed'].includes(value) && !totals[value] && state.query.show !== value;
  }
  showBulk();
  showPlace();
  showProgress();
}

function showBulk() {
  const picked = list.selected.size;
  const number = bulkPositions().length;
  for (const [name, verb] of [
    ['bulk-accept', 'Accept'],
    ['bulk-reject', 'Reject'],
  ]) {
    part(name).textContent = `${verb} ${picked ? '' : 'all '}${number.toLocaleString('en')}`;
    part(name).title = picked
      ? `${verb} the selected samples; one undo reverts all`
      : `${verb} every undecided sample in this list; one undo reverts all`;
    part(name).disabled = !number;
  }
  for (const [name, words] of [
    ['accept', 'keep'],
    ['reject', 'remove'],
  ])
    part(name).querySelector('small').textContent = picked ? `${number.toLocaleString('en')} selected` : words;
  part('unselect').hidden = !picked;
  part('picked').hidden = state.query.picked === null;
  part('many').textContent = picked ? `${number.toLocaleString('en')} selected` : `${number.toLocaleString('en')} undecided`;
}

export function showPlace() {
  const total = list.positions.length;
  part('count').textContent = total ? `${(list.cursor + 1).toLocaleString('en')} of ${total.toLocaleString('en')}` : 'none';
}

export function showNotice(notice) {
  part('notice').hidden = !notice;
  if (notice) part('notice').replaceChildren(h('strong', {}, notice.problem), ` ${notice.remedy}`);
}

function facetOptions(name, facets, chosen) {
  const known = facets.some((facet) => facet.position === chosen);
  const options = [h('option', { value: '' }, 'any')];
  if (chosen !== null && !known)
    options.push(h('option', { value: chosen }, `as in ${(list.cards.get(chosen) || { id: 'this sample' }).id}`));
  options.push(
    ...facets.map((facet) =>
      h('option', { value: facet.position }, `${facet.text || '(empty)'} (${facet.count.toLocaleString('en')})`),
    ),
  );
  part(name).replaceChildren(...options);
  part(name).value = chosen === null ? '' : String(chosen);
}

export function showFacets() {
  // A filter stores the position of a sample with that text. The list of facets has the first such sample.
  facetOptions('question', state.listing.questions, state.query.question);
  facetOptions('answer', state.listing.answers, state.query.answer);
  part('show').value = state.query.show;
  part('sort').value = state.query.sort;
  if (document.activeElement !== part('text')) part('text').value = state.query.text;
}

// Shows why the list is empty, and what to do.
export function teach() {
  const box = part('teach');
  const bare = !state.context.run || !list.positions.length;
  part('page').classList.toggle('rv-bare', bare);
  box.hidden = !bare;
  if (!state.context.run) {
    box.replaceChildren(
      h('p', {}, 'No run is open. Open the demo, or choose a data set in Data and scan it: its samples appear here.'),
    );
  } else if (bare && !list.marks.some((bits) => bits !== UNSCANNED)) {
    box.replaceChildren(h('p', {}, 'No sample is scanned yet. Start the scan in Scan: scanned samples appear here.'));
  } else if (bare) {
    const flagged =
      state.query.show === 'flagged' && !state.query.text && state.query.question === null && state.query.answer === null;
    const words =
      flagged && state.listing.detected
        ? (NOTHING_FLAGGED[state.listing.verdict] ?? NOTHING_FLAGGED.no_evidence)
        : flagged
          ? 'No detection has run yet.'
          : 'No sample matches this filter.';
    const suspects = list.marks.filter((bits) => bits !== UNSCANNED && bits & SUSPECT).length;
    box.replaceChildren(
      h('p', {}, words),
      ...(flagged ? obstacle(state.listing.obstacle) : []),
      flagged && suspects
        ? button(`Show ${count(suspects, 'sample')} worth a look`, {}, () => choose({ ...EVERYTHING, show: 'suspects' }))
        : '',
      button('Show all samples', {}, () => choose(EVERYTHING)),
    );
  }
}
