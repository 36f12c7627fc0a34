// Sends clicks and lassos on plotly figures to Python. The component is outside the tabs, so it is always mounted.
// Events: click {plot, how, points: [customdata]} for a click or a lasso on a figure with elem_id "plot-...";
// session_layers, trial_layers and so on: the session or the trial has changed, and this tab is in front.

export function start({ trigger }) {
  const bound = new WeakSet();
  const widths = new WeakMap();
  let resizing = null;

  // Plotly resizes figures only with the window. The sidebar and a change of tab also change the width of a column.
  const resized = new ResizeObserver((entries) => {
    const moved = entries.filter(
      ({ target, contentRect: { width } }) => width > 0 && Math.abs(width - (widths.get(target) || 0)) > 1,
    );
    for (const { target, contentRect } of moved) widths.set(target, contentRect.width);
    if (!moved.length) return;
    clearTimeout(resizing);
    resizing = setTimeout(() => window.dispatchEvent(new Event('resize')), 120);
  });

  function pointsOf(event) {
    return (event?.points ? event.points : []).map((point) => point.customdata).filter((data) => data != null);
  }

  function bind(graph, plot) {
    bound.add(graph);
    resized.observe(graph.parentElement);
    graph.on('plotly_click', (event) => trigger('click', { plot, how: 'click', points: pointsOf(event) }));
    graph.on('plotly_selected', (event) => {
      const points = pointsOf(event);
      if (points.length) trigger('click', { plot, how: 'lasso', points });
    });
  }

  function findPlots() {
    for (const holder of document.querySelectorAll('[id^="plot-"]')) {
      for (const graph of holder.querySelectorAll('.js-plotly-plot')) {
        if (!bound.has(graph) && graph.on) bind(graph, holder.id);
      }
    }
  }

  const inFront = () => document.querySelector('#tabs [role="tab"][aria-selected="true"]')?.dataset.tabId || '';
  const adjusts = () => document.getElementById('adjust')?.closest('.sidebar')?.classList.contains('open');

  // Tabs behind draw when they are opened. Adjust belongs to Layers, and is drawn elsewhere only while it is open.
  function changed(state) {
    const tab = inFront();
    trigger(`${state}_${tab}`, {});
    if (tab === 'layers' || adjusts()) trigger(`${state}_adjust`, {});
  }

  window.byeChanged = changed; // called by a listener of the states (bye_core/ui/shared/bridge.py)
  for (const state of window.byeMissed || []) changed(state);

  // A link opens Layers without a click, and Gradio tells Adjust so before the tab is in front.
  let before = inFront();
  new MutationObserver(() => {
    const tab = inFront();
    if (tab === before) return;
    before = tab;
    if (tab === 'layers') trigger('session_adjust', {});
  }).observe(document.getElementById('tabs'), { subtree: true, attributeFilter: ['aria-selected'] });

  new MutationObserver(findPlots).observe(document.body, { childList: true, subtree: true });
  findPlots();
}
