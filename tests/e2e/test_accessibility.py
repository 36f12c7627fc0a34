"""axe-core finds nothing serious on any tab, on light and dark pages."""

from bye_core.ui.tabs import TABS

# What each tab shows once it has read the open run: axe tests what a person sees.
READY = {
    "data": ".bye-card",
    "scan": "#scan-runs table",
    "review": "[data-part=page][data-sample] .rv-picture",
    "layers": "#plot-heads .hm",
    "explore": "#explore-table table",
    "detectors": "#detectors-table [data-do=use]",
    "dossier": ".why-told",
    "export": "#export-summary section",
    "finetune": "#finetune-command .cm-line:has-text('--model')",
    "clean": "#clean-command .cm-line:has-text('--data')",
    "attack": "#attack-cards li",
    "method": "#method-numbers dl",
}
AROUND = ("#header", "#tabs > .tab-wrapper", ".sidebar", "footer")  # the same on every tab, so tested once
RUN = """([parts, rules]) => {
  const include = parts.map((part) => [part]);
  const only = rules ? { runOnly: { type: 'rule', values: rules } } : {};
  return axe.run({ include }, { resultTypes: ['violations'], ...only })
    .then(({ violations }) => violations.map(({ id, impact, nodes }) =>
      ({ id, impact, nodes: nodes.map(({ target, html }) => `${target}: ${html.slice(0, 200)}`) })));
}"""
DARK = "(dark) => document.body.classList.toggle('dark', dark)"
# Colours are tested at their end, not on their way.
STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
SEVERE = ("serious", "critical")


def test_no_tab_has_a_serious_violation(made, serve, open_page):
    from axe_playwright_python.base import AXE_SCRIPT

    made()
    page = open_page(serve(), viewport={"width": 1920, "height": 1000})  # wide enough to show the titles of all tabs
    page.add_style_tag(content=STILL)
    page.evaluate(AXE_SCRIPT)
    found = []
    for tab in TABS:
        page.locator(f'#tabs [data-tab-id="{tab.name}"]:visible').click()
        ready = READY.get(tab.name, f"#tab-{tab.name} :is(input, textarea)")
        page.locator(f"{ready} >> visible=true").first.wait_for()
        parts = [f"#tab-{tab.name}", *(AROUND if tab is TABS[-1] else ())]
        assert all(page.locator(part).count() for part in parts), "axe would pass over a part that is missing"
        # The colours alone depend on the theme.
        for dark, rules in ((False, None), (True, ["color-contrast"])):
            page.evaluate(DARK, dark)
            results = page.evaluate(RUN, [parts, rules])
            found += [(tab.name, dark, one["id"], one["nodes"]) for one in results if one["impact"] in SEVERE]
        page.evaluate(DARK, False)
    assert found == []
