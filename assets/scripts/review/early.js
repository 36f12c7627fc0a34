// Runs in the page before any module is loaded. This file is not a module.

// Gradio may create the component before page.js is loaded. page.js then reads it from `byeFirst.gradio`.
window.byeReview = (component) => {
  window.byeFirst.gradio = component;
};

// Chooses the dark or light theme by the same rule as Gradio.
(() => {
  const theme = new URL(location).searchParams.get('__theme');
  const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.body.classList.toggle('dark', dark);
})();

// Gradio's display of its own loading counts tenths of seconds at every frame, and does not stop when it has left the
// page. Four times a second, it costs nothing: without this, an idle page takes several percent of a core.
(() => {
  const frame = window.requestAnimationFrame.bind(window);
  const counts = /performance\.now\(\)[^;]*\/1e3/;
  window.requestAnimationFrame = (draw) =>
    counts.test(Function.prototype.toString.call(draw)) ? setTimeout(() => frame(draw), 250) : frame(draw);
})();

// A first visit to the demo has a line of welcome above the tabs. Its height is reserved before it is there.
try {
  const link = new URL(location).searchParams.get('run');
  document.documentElement.toggleAttribute('data-first', !(link || window.byeFirst.asked || localStorage.getItem('bye-visitor')));
} catch {
  // Without storage, the welcome moves the page.
}

// Fits Review into the window: its layout follows its own width, its height ends at the lower edge of the window.
// Runs before the first paint, so that nothing jumps; fit.js calls it again after changes.
window.byeFirst.fit = () => {
  const page = document.querySelector('#first-review > .rv');
  const width = page?.clientWidth;
  if (!width) return; // another tab is in front
  page.dataset.fit = width >= 1100 ? 'wide' : width >= 640 ? 'medium' : 'narrow';
  page.style.setProperty('--rv-top', `${Math.round(page.getBoundingClientRect().top + scrollY)}px`);
};
window.byeFirst.fit();
