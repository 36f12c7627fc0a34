// Always mounted, outside the tabs: carries clicks and lassos on plotly figures and single keys to Python.
// Events: click {plot, how, points: [customdata]} for a click or a lasso on a figure with elem_id "plot-...".

export function start({ trigger }) {
  const bound = new WeakSet();
  const widths = new WeakMap();
  let resizing = null;

  // Plotly follows the window only; a column also changes its width when the sidebar moves or a tab comes to the front.
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

  new MutationObserver(findPlots).observe(document.body, { childList: true, subtree: true });
  findPlots();
}
