"""The page as a whole."""

from bye_core.ui import layout
from bye_core.ui.tabs import TABS


def test_nothing_but_tabs_lies_between_the_tabs(home):
    """Whatever else is made there counts as one, and the bar shows the name of another tab."""
    config = layout.build().get_config_file()
    types = {one["id"]: one["type"] for one in config["components"]}
    waiting, found = [config["layout"]], []
    while waiting:
        node = waiting.pop()
        children = node.get("children") or []
        waiting += children
        if types.get(node["id"]) == "tabs":
            found.append([types[child["id"]] for child in children])
    assert found == [["tabitem"] * len(TABS)]
