// Opens the lists of a trial's effect in Review, and opens or closes the sidebar when the user changes the tab.
// On a wide screen the sidebar is open in Layers until the user closes it, and closed in Review. Other tabs hide it.

export function start({ element, trigger }) {
  const WIDE = 1024;
  const bar = element.closest('.sidebar');
  const handle = bar.querySelector('.toggle-button');
  const wanted = { layers: true, review: false };
  let last = null; // [tab, whether the effect of a trial is shown]

  const wide = () => window.innerWidth >= WIDE;
  const isOpen = () => bar.classList.contains('open');
  const tab = () => document.querySelector('#tabs [role="tab"][aria-selected="true"]')?.dataset.tabId || '';

  let moving = false; // true while this script, not the user, moves the sidebar

  function setOpen(open) {
    if (isOpen() === open) return;
    moving = true;
    handle.click();
    moving = false;
  }

  function label() {
    handle.setAttribute('aria-label', 'Adjust: method, layers, cut-off');
    handle.setAttribute('aria-expanded', String(isOpen()));
  }

  // Without an open run, no effect is shown.
  const hasEffect = () => element.querySelector('.bye-effect') !== null;

  function follow() {
    const [now, before] = [[tab(), hasEffect()], last];
    if (String(now) === String(before)) return;
    last = now;
    // Review fits the window. A list that was chosen far down on another tab must not leave the page scrolled there.
    if (now[0] === 'review' && before && before[0] !== 'review') window.scrollTo(0, 0);
    const useful = now[0] in wanted;
    bar.toggleAttribute('data-away', !useful);
    // The user opened the sidebar while its numbers were loading: keep it open.
    if (useful && hasEffect() && isOpen() && before && before[0] === now[0]) return;
    setOpen(useful && hasEffect() && wide() && wanted[now[0]]);
  }

  element.addEventListener('click', (event) => {
    const button = event.target.closest('[data-list]');
    if (!button) return;
    if (!wide()) setOpen(false);
    trigger('click', { list: button.dataset.list });
  });
  handle.addEventListener('click', () => {
    if (!moving && tab() in wanted && wide()) wanted[tab()] = handle.getAttribute('aria-expanded') !== 'true';
  });
  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-adjust]')) setOpen(true);
  });
  document.addEventListener('keydown', (event) => {
    // In a field, Escape closes the field's own list or leaves its value, but not the whole sidebar.
    const inField = document.activeElement?.matches('input, select, textarea');
    if (event.key === 'Escape' && isOpen() && bar.contains(document.activeElement) && !inField) {
      setOpen(false);
      handle.focus();
    }
  });
  new MutationObserver(label).observe(bar, { attributes: true, attributeFilter: ['class'] });
  new MutationObserver(follow).observe(document.getElementById('tabs').parentElement, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ['aria-selected'],
  });
  new MutationObserver(follow).observe(element, { subtree: true, childList: true });
  bar.setAttribute('role', 'complementary');
  bar.setAttribute('aria-label', 'Adjust');
  // On this element, because screen readers ignore it on content that is replaced.
  element.setAttribute('aria-live', 'polite');
  label();
  follow();
}
