"""What the handlers of Explore and Detectors answer, without a browser."""

import gradio as gr
import pytest

from bye_core.runs import Run
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Frame, Session
from bye_core.ui.tabs.detectors import actions as detectors
from bye_core.ui.tabs.detectors import entries
from bye_core.ui.tabs.detectors import view as detectors_tab
from bye_core.ui.tabs.explore import actions as explore
from bye_core.ui.tabs.explore import view as explore_tab
from bye_core.ui.tabs.explore.filters import View

SESSION = Session(run="made")
FORM = tuple(View().record().values())


def built(tab, monkeypatch):
    """The components of a tab, as the app builds them."""
    caught = []
    monkeypatch.setattr(tab, "_listen", lambda parts, *_: caught.append(parts))
    with gr.Blocks():
        states = {name: gr.State(value) for name, value in (("session", Session()), ("trial", Trial()), ("opened", {}))}
        frame = Frame(bridge=gr.HTML(), pulse=gr.Timer(), tabs=gr.Tabs(), **states)
        with frame.tabs, gr.Tab("tab") as component:
            tab.build(frame, component)
    return caught[0]


def event(**data):
    return gr.EventData(None, data)


@pytest.fixture
def parts(run_path, monkeypatch):
    return built(explore_tab, monkeypatch)


@pytest.fixture
def methods(run_path, monkeypatch):
    entries._results.clear()
    return built(detectors_tab, monkeypatch)


def test_the_tab_offers_what_the_run_has(parts):
    (answer,) = explore.enter(parts, SESSION, {}, explore.NONE_PICKED, 0, *FORM)
    fields = dict(zip(explore.FIELDS, parts.form, strict=True))
    assert [name for _, name in answer[fields["layer"]].choices] == [-1, *range(8)]
    assert [name for _, name in answer[fields["color"]].choices] == ["flag", "answer", "kind", "decision"]
    assert "120 of 120 samples" in answer[parts.shown]
    assert parts.map in answer
    (again,) = explore.enter(parts, SESSION, answer[parts.sent], explore.NONE_PICKED, 0, *FORM)
    assert parts.map not in again, "the same map is not sent twice"


def test_a_place_is_read_before_it_filters(parts):
    form = tuple(View(layer=4, place="middle-centre").record().values())
    *reading, answer = explore.draw(parts, SESSION, {}, explore.NONE_PICKED, 0, *form)
    assert all(set(update) == {parts.shown} for update in reading)
    assert "of 120 samples pass" in answer[parts.shown]
    assert "attention peaks" in answer[parts.table]


def test_a_loop_lists_its_samples_and_a_click_opens_one(parts):
    answer = explore.selected_on_map(
        parts, event(plot="plot-map", how="lasso", points=["s00001", "s00002", "<none>", 3]), SESSION, *FORM
    )
    assert answer[parts.picked] == ("made", ("s00001", "s00002"))
    assert "2 selected samples" in answer[parts.table]
    opened = explore.open_table(parts, SESSION, answer[parts.picked], 0, *FORM)
    assert set(opened[parts.session].selection) == {"s00001", "s00002"}
    other = Session(run="made")
    (cleared,) = explore.clear_selection(parts, other, {}, answer[parts.picked], 0, *FORM)
    assert cleared[parts.picked] == explore.NONE_PICKED
    assert "120 samples" in cleared[parts.table]
    clicked = explore.selected_on_map(parts, event(plot="plot-map", how="click", points=["s00003"]), SESSION, *FORM)
    assert clicked[parts.session].sample == "s00003"
    elsewhere = explore.selected_on_map(parts, event(plot="plot-bsi", how="click", points=[3]), SESSION, *FORM)
    assert elsewhere == parts.unchanged()


def test_pages_turn_and_end(parts):
    page = explore.next_page(parts, SESSION, explore.NONE_PICKED, 3, *FORM)
    assert page[parts.page] == 4
    assert not page[parts.after].interactive
    assert explore.next_page(parts, SESSION, explore.NONE_PICKED, 4, *FORM)[parts.page] == 4


def test_a_saved_view_sets_the_form(parts):
    form = tuple(View(show="flagged", layer=2).record().values())
    saved = explore.save_view(parts, SESSION, "mine", *form)
    assert saved[parts.saved].value == "mine"
    *_, answer = explore.open_view(parts, SESSION, {}, explore.NONE_PICKED, 0, "mine")
    fields = dict(zip(explore.FIELDS, parts.form, strict=True))
    assert (answer[fields["show"]], answer[fields["layer"]]) == ("flagged", 2)
    assert "12 of 120" in answer[parts.shown]
    assert explore.delete_view(parts, SESSION, "mine")[parts.saved].choices == []


def test_methods_run_one_by_one_and_one_can_be_used(methods, run_path):
    first = detectors.draw(methods, SESSION, Trial("made"), detectors.NO_LIST)
    assert first[methods.start].visible
    *steps, last = detectors.run_if_small(methods, SESSION, Trial("made"), detectors.NO_LIST)
    assert [f"Method {n} of 4" in step[methods.status] for n, step in enumerate(steps, 1)] == [True] * 4
    assert not last[methods.start].visible
    known = SESSION, Trial("made"), detectors.NO_LIST
    listed = detectors.clicked(methods, *known, event(do="only_here", key="defaults/random"))
    assert "Open all" in listed[methods.samples]
    opened = detectors.open_samples(methods, SESSION, Trial("made"), listed[methods.chosen], event(do="review"))
    assert len(opened[methods.session].selection) > 1
    tried = detectors.clicked(methods, *known, event(do="try", key="defaults/tcap"))
    assert tried[methods.trial] == Trial("made", "tcap")
    assert Run.open(run_path).detection().method == "bye"
    used = detectors.clicked(methods, *known, event(do="use", key="defaults/tcap"))
    assert used[methods.session].revision == 1
    assert Run.open(run_path).detection().method == "tcap"
    assert detectors.clicked(methods, *known, event(do="use", key="nothing")) == methods.unchanged()
