// Always mounted, outside the tabs: carries clicks and lassos on plotly figures and single keys to Python.
// Events: pick {plot, points: [customdata]} for a click or a lasso on a figure with elem_id "plot-...".
const bound = new WeakSet();

function pointsOf(event) {
  return (event && event.points ? event.points : []).map((point) => point.customdata).filter((data) => data != null);
}

function bind(graph, plot) {
  bound.add(graph);
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
