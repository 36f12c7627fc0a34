// Runs in the page before any module is loaded; not a module itself.

// Gradio may make the component before page.js is there, which then finds it in `byeFirst.gradio`.
window.byeReview = (component) => {
  window.byeFirst.gradio = component;
};

// Dark or light as Gradio will decide.
(() => {
  const theme = new URL(location).searchParams.get('__theme');
  const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.body.classList.toggle('dark', dark);
})();
