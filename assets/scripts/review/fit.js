// Keeps Review as high as the window and its queue folded where there is no room beside the image.

import { element, part } from './page.js';

export const folded = () => part('page').dataset.fit !== 'wide';

// On narrow screens, the queue shows only the current row until the user opens it.
export function unfold(open) {
  part('queue').toggleAttribute('data-open', open);
  part('unfold').setAttribute('aria-expanded', String(open));
  part('unfold').textContent = open ? 'Hide queue' : 'Show queue';
}

export const isUnfolded = () => folded() && part('queue').hasAttribute('data-open');

export function startFit() {
  const { fit } = window.byeFirst;
  const observer = new ResizeObserver(fit); // the header above may grow, and Adjust takes width
  for (const watched of [document.body, element]) observer.observe(watched);
  addEventListener('resize', fit);
  part('unfold').addEventListener('click', () => unfold(!part('queue').hasAttribute('data-open')));
  fit();
}
