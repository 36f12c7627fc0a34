"""The report's style sheet: readable on screen, dark or light, and on paper."""

STYLE = """
:root { color-scheme: light dark; --text: #1d2129; --soft: #5b616c; --line: #d9dce2; --back: #fff; --panel: #f6f7f9;
  --bad: #b84600; --good: #1d6fa8; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaee; --soft: #a3a9b5; --line: #363b46; --back: #14161b;
  --panel: #1c1f26; --bad: #ff9a5c; --good: #7cc0f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; } .note, caption, figcaption { color: var(--soft); font-size: .87rem; }
.verdict { font-size: 1.2rem; font-weight: 650; } .bad { color: var(--bad); } .good { color: var(--good); }
.open { color: var(--soft); }
dl { display: flex; flex-wrap: wrap; gap: .5rem 1.6rem; margin: .8rem 0; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
ul { padding-left: 1.2rem; } details { margin: .7rem 0; } summary { cursor: pointer; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .87rem; margin: .4rem 0; }
th, td { text-align: left; vertical-align: top; padding: .32rem .7rem .32rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
thead th { color: var(--soft); font-weight: 500; } tbody th { font-weight: 500; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0; } svg { width: 100%; max-width: 44rem; height: auto; font-size: 12px; }
svg text { fill: var(--text); } .grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.whisker { stroke: var(--text); fill: none; stroke-width: 1.3; }
.cards { list-style: none; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.cards li { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .8rem;
  font-size: .9rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; margin-bottom: .5rem; }
.frame { position: relative; overflow: hidden; background: #8883; border-radius: 4px; }
.frame img { position: absolute; inset: 0; width: 100%; height: 100%; } .frame img.heat { inset: auto; opacity: .6;
  image-rendering: pixelated; }
.id { color: var(--soft); font-variant-numeric: tabular-nums; }
h3 { font-size: .95rem; margin: 1.1rem 0 .3rem; }
.why-told li { margin: .2rem 0; overflow-wrap: anywhere; }
.why-places { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .8rem 1rem;
  max-width: 44rem; margin: .6rem 0 .2rem; }
.why-places img { width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 4px; background: #8883; }
.why-map img { object-fit: fill; } .why-map img, .why-mean img { image-rendering: pixelated; }
.why-choice { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0; padding: 0; border: 0; }
.why-choice legend { float: left; margin-right: 1rem; padding: 0; color: var(--soft); }
.why-views:has([value="tiles"]:checked) > [data-view="overview"] { display: none; }
.why-views:has([value="overview"]:checked) > [data-view="tiles"] { display: none; }
.why-note { color: var(--soft); font-size: .87rem; }
.why-crops { list-style: none; padding: 0; display: grid; gap: .5rem;
  grid-template-columns: repeat(auto-fill, minmax(4.5rem, 1fr)); }
.why-crops img { width: 100%; border-radius: 4px; image-rendering: pixelated; display: block; }
.why-crops span { color: var(--soft); font-size: .78rem; overflow-wrap: anywhere; }
.why-scroll { overflow-x: auto; } .why-table td { text-align: right; white-space: nowrap; }
.why-table td:first-of-type { text-align: left; } .why-table th:nth-child(n + 3) { text-align: right; }
@media print { details > * { display: block; } .cards li { break-inside: avoid; } }
"""
