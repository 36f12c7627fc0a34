"""The page as a whole."""

from bye_core.ui import app
from bye_core.ui.tabs import TABS


def test_nothing_but_tabs_lies_between_the_tabs(home):
    """Whatever else is made there counts as one, and the bar shows the name of another tab."""
    config = app.build().get_config_file()
    types = {one["id"]: one["type"] for one in config["components"]}
    waiting, found = [config["layout"]], []
    while waiting:
        node = waiting.pop()
        children = node.get("children") or []
        waiting += children
        if types.get(node["id"]) == "tabs":
            found.append([types[child["id"]] for child in children])
    assert found == [["tabitem"] * len(TABS)]


def test_handlers_that_show_no_progress_cost_the_page_one_component(home):
    page = app.build("made")
    quiet = [handler for handler in page.fns.values() if handler.show_progress == "hidden"]
    assert len(quiet) > 60
    assert all(len(handler.show_progress_on) == 1 for handler in quiet)


def test_all_else_waits_for_the_first_sample(home):
    page = app.build("made")
    (load,) = [one for one in page.fns.values() if any(event == "load" for _, event in one.targets)]
    assert "bye-entered" in load.js


def test_public_endpoints_have_their_own_names(home):
    """Gradio names every listener after its handler, also private ones."""
    assert set(app.build().get_api_info()["named_endpoints"]) == {"/scan", "/detect", "/export"}


def test_the_app_reports_nothing_to_the_makers_of_gradio(home, monkeypatch):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    assert app.build().get_config_file()["analytics_enabled"] is False
