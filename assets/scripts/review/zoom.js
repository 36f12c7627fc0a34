// Shows an image in its own pixels on the full screen, with its heatmap: enlarged with buttons, keys or the wheel.

import { openDialog } from './dialog.js';
import { button, h } from './dom.js';
import { paintHeat } from './heatmap.js';
import { decoded } from './loading.js';
import { showError } from './messages.js';
import { part } from './page.js';
import { call, wordsOf } from './requests.js';
import { viewer } from './review.js';
import { state } from './state.js';

const STEP = 1.25;
const LARGEST = 32; // times the image's own size

export async function openZoom() {
  const { sample } = viewer;
  if (!sample?.pictures) return;
  await openDialog(`Images of ${sample.id}`, (close, dialog) => content(sample, close, dialog), { wide: true });
}

function content(sample, close, dialog) {
  const heat = h('canvas', { class: 'rv-heat', 'aria-hidden': 'true' });
  const stage = h('div', { class: 'rv-zoom-stage' }, heat);
  const frame = h('div', { class: 'rv-zoom-frame', tabindex: 0, 'aria-label': 'Image; drag to move it' }, stage);
  const words = h('output', { class: 'rv-hint' }, 'Opening the image ...');
  let shown = null; // {image, width, height, number}
  let scale = 1;

  const fitting = () => Math.min((frame.clientWidth - 2) / shown.width, (frame.clientHeight - 2) / shown.height);

  function resize(wanted, x = frame.clientWidth / 2, y = frame.clientHeight / 2) {
    if (!shown) return;
    const before = scale;
    scale = Math.min(LARGEST, Math.max(0.02, wanted));
    const [left, top] = [(frame.scrollLeft + x) / before, (frame.scrollTop + y) / before];
    stage.style.width = `${shown.width * scale}px`;
    stage.style.height = `${shown.height * scale}px`;
    stage.classList.toggle('rv-tiny', scale >= 2);
    frame.scrollLeft = left * scale - x;
    frame.scrollTop = top * scale - y;
    words.textContent = `${shown.width} x ${shown.height} pixels, at ${Math.round(100 * scale)}%`;
    paintHeat(heat, viewer.cellsOf(shown.number), viewer.scale);
  }

  async function show(number) {
    try {
      const ask = { position: sample.position, number, original: true };
      const { src, width, height } = await call('review_picture', state.context, ask);
      const { image } = await decoded(src, width, height);
      image.alt = `${sample.id}, image ${number + 1}`;
      stage.querySelector('img')?.remove();
      stage.prepend(image);
      shown = { image, width, height, number };
      scale = 1;
      resize(fitting());
    } catch (error) {
      close();
      showError(wordsOf(error), [['Try again', openZoom]]);
    }
  }

  frame.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      const box = frame.getBoundingClientRect();
      resize(scale * (event.deltaY < 0 ? STEP : 1 / STEP), event.clientX - box.left, event.clientY - box.top);
    },
    { passive: false },
  );
  frame.addEventListener('pointermove', (event) => {
    if (!event.buttons) return;
    frame.scrollLeft -= event.movementX;
    frame.scrollTop -= event.movementY;
  });
  const hide = () => {
    part('heat').click();
    heat.hidden = !part('heat').checked;
  };
  heat.hidden = !part('heat').checked;
  const acts = {
    '+': () => resize(scale * STEP),
    '-': () => resize(scale / STEP),
    0: () => resize(1),
    h: hide,
    z: () => close(),
  };
  dialog.addEventListener('keydown', (event) => {
    const act = acts[event.key === '=' ? '+' : event.key.toLowerCase()];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  });
  const numbers = [...Array(sample.pictures).keys()];
  const others = sample.pictures > 1 ? numbers.map((number) => button(`Image ${number + 1}`, {}, () => show(number))) : [];
  show(0);
  return [
    h(
      'div',
      { class: 'rv-dialog-acts' },
      button('Larger (+)', {}, acts['+']),
      button('Smaller (-)', {}, acts['-']),
      button('Own size (0)', {}, acts[0]),
      button('Fit', {}, () => resize(fitting())),
      button('Heatmap (H)', {}, hide),
      ...others,
      button('Close', { autofocus: true }, () => close()),
      words,
    ),
    frame,
  ];
}
