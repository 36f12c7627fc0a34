"""Methods side by side: what each flags, where it differs from the one in use, and what it lacks."""

import re

import pytest

from bye_core.detect import DETECTORS
from bye_core.pipeline import read_truth
from bye_core.runs import Run
from bye_core.ui.adjust.comparison import compare
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Session
from bye_core.ui.tabs.detectors import entries as module
from bye_core.ui.tabs.detectors.entries import (
    DEFAULTS,
    TRIED,
    USED,
    entries,
    is_small,
    overlap,
    run_pending,
)
from bye_core.ui.tabs.detectors.table import LISTS, listed, methods_table, sample_list

SESSION = Session(run="made")


@pytest.fixture
def compared(run_path):
    module._results.clear()
    return compare(SESSION, Trial("made"))


def ran(compared):
    """The entries by method, after all methods have run."""
    list(run_pending(compared))
    return {entry.trial.method: entry for entry in entries(compared)}


def test_every_method_is_listed_and_says_what_it_lacks_before_it_runs(compared):
    found = entries(compared)
    assert [entry.trial.method for entry in found] == ["bye", *(name for name in DETECTORS if name != "bye")]
    lacks = {entry.trial.method: entry.lacks for entry in found if entry.lacks}
    assert set(lacks) == {"loss", "surprise", "spectral", "activation"}
    assert "Read the answers too" in lacks["loss"]
    assert "--" not in "".join(lacks.values()), "the page has controls of its own"
    assert is_small(compared)


def test_methods_run_once_for_one_scan(compared, monkeypatch):
    first = [entry.trial.method for entry in run_pending(compared)]
    assert first == ["auto", "tcap", "cleansight", "random"]
    monkeypatch.setattr(type(compared.opened), "detect", lambda *_: pytest.fail("ran again"))
    assert list(run_pending(compare(SESSION, Trial("made")))) == []


def test_flags_are_compared_with_those_in_use(compared, poisoned):
    found = ran(compared)
    assert set(overlap(compared.used, found["auto"].detection).both) == poisoned
    differs = overlap(compared.used, found["random"].detection)
    random = set(found["random"].detection.flagged_ids)
    assert set(differs.only_here) == random - poisoned
    assert set(differs.only_used) == poisoned - random
    assert len(differs.both) + len(differs.only_here) == len(random)


def test_a_trial_stands_beside_the_method_in_use(run_path):
    kinds = {entry.kind: entry for entry in entries(compare(SESSION, Trial("made").having(cutoff=100.0)))}
    assert kinds[USED].detection.flagged.sum() == 12
    assert kinds[TRIED].detection.flagged.sum() == 120
    assert kinds[DEFAULTS].trial.method != "bye", "the defaults are in use"


def test_the_table_has_numbers_to_open_and_scores_with_a_truth_only(compared, home):
    found = list(ran(compared).values())
    html = methods_table(found, compared.used, None)
    assert "precision" not in html
    assert html.count("data-do='use'") == 4, "the method in use and those that cannot run have no such button"
    assert re.search(r"data-do='only_here' data-key='defaults/random'[^>]*>\d+<", html)
    poisoned = read_truth(home / "made/data/truth.json")
    html = methods_table(found, compared.used, poisoned)
    assert "precision" in html
    row = html.partition("data-method='used/bye'")[2].partition("</tr>")[0]
    assert row.count("1.000") == 3


def test_lists_hold_the_samples_and_nothing_else_can_be_asked_for(compared):
    found = list(ran(compared).values())
    entry, ids = listed(found, compared.used, "defaults/random", "only_here")
    html = sample_list(entry, "only_here", ids, {ids[0]: "<b>answer</b>"})
    assert html.count("data-do='sample'") == min(len(ids), 50)
    assert "&lt;b&gt;answer" in html
    assert listed(found, compared.used, "defaults/random", "__class__") is None
    assert listed(found, compared.used, "defaults/nothing", next(iter(LISTS))) is None
    assert listed(found, compared.used, "defaults/loss", "both") is None


def test_a_method_that_fails_says_so_and_the_others_run(compared, monkeypatch):
    from bye_core.ui.shared.exports import BadName

    real = type(compared.opened).detect

    def detect(opened, method, settings):
        if method == "tcap":
            raise BadName(name="x")
        return real(opened, method, settings)

    monkeypatch.setattr(type(compared.opened), "detect", detect)
    found = ran(compared)
    assert "x" in found["tcap"].failure
    assert found["cleansight"].detection is not None
    assert "cannot be the name" in methods_table(list(found.values()), compared.used, None)


def test_nothing_is_saved_before_it_is_used(compared, run_path):
    ran(compared)
    assert Run.open(run_path).detection().method == "bye"
