"""Explore: the map of samples, the filters, the places of attention, and saved views."""

from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
from gradio.helpers import special_args

from bye_core.records import AttentionRows, Decision, Grid
from bye_core.ui.adjust.comparison import NotReady
from bye_core.ui.open_run import open_run
from bye_core.ui.session import Session
from bye_core.ui.shared.events import Binder, Parts
from bye_core.ui.shared.obstacles import not_ready
from bye_core.ui.tabs.explore import actions, downloads, drawing, places, saved_views
from bye_core.ui.tabs.explore.filters import View, entropies, fitting, passing, view_of
from bye_core.ui.tabs.explore.projection import project, sources
from tests.made_run import make_run


@pytest.fixture
def opened(run_path):
    return open_run(run_path)


def ids(opened, view):
    return {opened.table.ids[row] for row in np.flatnonzero(passing(opened, view))}


def test_the_map_separates_poisoned_samples(opened, poisoned):
    xy, shares = drawing.projection(opened, "entropy")
    truth = opened.mask(frozenset(poisoned))
    gap = np.linalg.norm(xy[truth].mean(axis=0) - xy[~truth].mean(axis=0))
    assert gap > 3 * xy[~truth].std()
    assert shares[0] > shares[1] > 0
    assert drawing.projection(opened, "entropy") is drawing.projection(opened, "entropy"), "computed once"
    assert sources(opened.table) == ["entropy", "image", "layers"]


def test_the_map_ignores_units_and_gaps():
    values = np.random.default_rng(0).normal(size=(50, 4))
    plain = project(values).xy
    assert np.allclose(np.abs(plain), np.abs(project(values * [1, 100, 1, 0.01] + 7).xy), atol=1e-3)
    holes = np.column_stack([values, np.full(50, np.nan), np.ones(50)])
    holes[3] = np.nan
    xy = project(holes).xy
    assert np.isnan(xy[3]).all(), "no number, no place"
    assert np.isfinite(np.delete(xy, 3, axis=0)).all()
    assert np.isnan(project(np.ones((9, 3))).xy).all()
    assert project(np.empty((0, 3))).xy.shape == (0, 2)


def test_filters_leave_what_they_name(opened, poisoned):
    assert ids(opened, View(show="flagged")) == poisoned
    assert ids(opened, View(show="unflagged")) == set(opened.table.ids) - poisoned
    assert ids(opened, View(low_score=0.5)) == poisoned
    assert ids(opened, View(text="BACKDOOR")) == poisoned
    values = entropies(opened, View(layer=3, head=1))
    middle = float(np.median(values))
    low = ids(opened, View(layer=3, head=1, high=middle))
    assert low == {opened.table.ids[row] for row in np.flatnonzero(values <= middle)}
    assert np.allclose(values, opened.table.entropy[:, 3, 1])
    first = sorted(poisoned)[0]
    opened.run.decide([Decision(first, "reject")])
    assert ids(opened, View(show="rejected")) == {first}


def test_the_place_of_the_attention_is_a_filter(opened, poisoned):
    assert places.known(opened) is None
    list(places.read(opened))
    view = View(layer=4, place="middle-centre")
    assert poisoned <= ids(opened, view)
    assert len(ids(opened, view)) < 60
    everywhere = [ids(opened, replace(view, place=place)) for place in places.PLACES]
    assert sum(map(len, everywhere)) == 120


def rows_on(box, cell, tokens=4):
    shares = np.full((2, tokens), 0.01, np.float16)
    shares[0, cell] = 0.9
    shares[1] = np.nan
    each, heads, grid = np.zeros(2), np.zeros((2, 1)), Grid(0, 2, 2, 0, box)
    return AttentionRows("a", heads, heads, np.zeros((2, 1, 3)), each, each, shares, (grid,), 1, "", 1.0)


@pytest.mark.parametrize(
    ("box", "cell", "place"),
    [
        ((0, 0, 1, 1), 0, "top-left"),
        ((0, 0, 1, 1), 3, "bottom-right"),
        ((0, -0.5, 1, 1.5), 1, "top-right"),
        ((0, -1, 1, 2), 1, "padding"),
    ],
)
def test_a_peak_lies_where_its_cell_is_on_the_image(box, cell, place):
    peaks = places.sample_peaks(rows_on(box, cell))
    assert places.names(peaks).tolist() == [place, ""]


def test_a_token_without_a_cell_is_no_peak():
    peaks = places.sample_peaks(rows_on((0, 0, 1, 1), 4, tokens=5))
    assert places.names(peaks)[0] in places.PLACES
    assert np.isnan(places.sample_peaks(replace(rows_on((0, 0, 1, 1), 0), grids=()))).all()


def test_a_view_comes_back_by_its_name(opened, workspace):
    view = View("image", "answer", low_score=0.5, layer=2, head=1, place="top-left", text="é")
    assert saved_views.save(workspace, "made", "  my   view ", view) == "my view"
    saved_views.save(workspace, "made", "second", View())
    assert saved_views.load(workspace, "made") == {"my view": view, "second": View()}
    saved_views.delete(workspace, "made", "my view")
    assert list(saved_views.load(workspace, "made")) == ["second"]
    with pytest.raises(saved_views.NoName):
        saved_views.save(workspace, "made", "  ", view)


def test_what_a_page_or_a_file_sends_is_checked(opened, workspace):
    wrong = {"source": "/etc", "color": 3, "layer": True, "head": -7, "low": "1", "text": "x" * 500, "more": 1}
    assert view_of(wrong) == View(text="x" * 200)
    assert fitting(View(layer=99, low=1.0), opened) == View()
    assert fitting(View(layer=1, head=99), opened) == View(layer=1)
    saved_views.save(workspace, "made", "a", View())
    (workspace.root / "views" / "made.json").write_text('{"a": {"show": "nothing"}, "b": 3}')
    assert saved_views.load(workspace, "made") == {"a": View()}
    (workspace.root / "views" / "made.json").write_text("[")
    assert saved_views.load(workspace, "made") == {}


def test_filters_of_one_run_do_not_reach_another():
    view = View("image", "answer", low_score=0.5, layer=2)
    assert actions.of_run(view, "made", {actions.RUN_SHOWN: "made"}) == view
    assert actions.of_run(view, "made", {}) == view, "the first run on the page"
    assert actions.of_run(view, "made", {actions.RUN_SHOWN: "other"}) == View("image", "answer")


@pytest.mark.parametrize(("run", "state", "tab"), [("", "closed", "layers"), ("new", "unscored", "scan")])
def test_an_empty_tab_says_what_to_do_next(home, run, state, tab):
    if run:
        made = make_run(home / "made", samples=12, scanned=0)
        (home / "runs").mkdir()
        made.rename(home / "runs" / "new")
    with pytest.raises(NotReady) as caught:
        actions.opened_run(Session(run=run))
    assert caught.value.state == state
    assert f"data-tab='{tab}'" in not_ready(caught.value)


def test_the_event_of_the_map_reaches_its_handler(opened):
    """Gradio puts the event where the signature says, before the values of the form."""
    bound = Binder(Parts(gr.State()))(actions.selected_on_map)
    event = gr.EventData(None, {"plot": "plot-other", "points": ["s00001"]})
    inputs, *_ = special_args(bound, [Session(run="made"), *View().record().values()], event_data=event)
    assert isinstance(inputs[0], gr.EventData)
    assert inputs[0].plot == "plot-other"
    assert inputs[1] == Session(run="made")
    assert actions.form_view(tuple(inputs[2:])) == View()


def test_the_table_lists_the_most_suspicious_first_and_pages(opened, poisoned):
    wanted = passing(opened, View())
    rows = drawing.listed_rows(opened, wanted, ())
    assert {opened.table.ids[row] for row in rows[:12]} == poisoned
    assert drawing.pages(rows) == 5
    html = drawing.sample_table(opened, View(), rows, 4, 0)
    assert html.count("data-do='sample'") == 20
    picked = drawing.listed_rows(opened, wanted, ("s00001", "gone"))
    assert [opened.table.ids[row] for row in picked] == ["s00001"]


@pytest.mark.parametrize("color", ["flag", "answer", "kind", "decision", "truth"])
def test_every_sample_has_one_colour(opened, poisoned, color):
    groups = drawing.groups_of(opened, color, opened.mask(frozenset(poisoned)))
    rows = np.concatenate([group.rows for group in groups])
    assert sorted(rows.tolist()) == list(range(120))
    assert len({group.name for group in groups}) == len(groups)


def test_the_page_says_how_many_samples_the_map_shows(opened, monkeypatch):
    words = drawing.sample_map(opened, View(show="flagged"), passing(opened, View(show="flagged")), None)[1]
    assert words == "12 of 120 samples pass the filters."
    real = drawing.drawn_rows
    monkeypatch.setattr(drawing, "drawn_rows", lambda wanted, first, most=30: real(wanted, first, most))
    figure, words = drawing.sample_map(opened, View(), passing(opened, View()), None)
    assert "shows 30 of them" in words
    assert sum(len(trace.customdata) for trace in figure.data if trace.customdata is not None) == 30


def test_the_files_of_a_run_are_written(opened, home, tmp_path, monkeypatch):
    lines = downloads.flagged_csv(opened, True, tmp_path).read_text().splitlines()
    assert len(lines) == 13
    monkeypatch.setenv("BYE_HOSTED", "1")
    page = downloads.report_page(opened, tmp_path).read_text()
    assert "<html" in page
    assert str(home) not in page, "a public host shows no paths"
