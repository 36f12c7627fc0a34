// The session comes late (Gradio connects, then asks). The page opens by itself what it will find there: one question
// brings the list, the first sample and its picture. AFTER_REVIEW in bye_core/ui/app.py waits for what is said here.

function remembered() {
  try {
    return JSON.parse(kept('place', '')) || {};
  } catch {
    return {};
  }
}

// The visitor's token is kept as Gradio keeps it: whoever reads this browser's store can act as the visitor.
const remember = () => keep('place', JSON.stringify(place));

async function enter() {
  const { visitor = '', run = '' } = remembered();
  try {
    const answer = await call('review_enter', { visitor }, { asked: props.asked, kept: run });
    if (seen.run === undefined) await openFirst(visitor, answer);
  } catch {
    // The session says what is open, and what is wrong with it.
  } finally {
    sayEntered();
  }
}

async function openFirst(visitor, { run, flagged, list: listing, first }) {
  place = { visitor, run };
  seen = { visitor, run, stamp: listing.stamp, revision: 0 };
  query = { ...query, ...EVERYTHING, show: flagged ? 'flagged' : 'all' };
  showQueue(listing, null, first);
  if (!first || !first.picture) return;
  await pictureAt(first.position, 0).catch(() => {});
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
}
