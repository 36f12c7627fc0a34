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
