"""Other methods in Adjust: their settings as number fields, what a scan lacks, and layers to look at all the same."""

from dataclasses import fields

import numpy as np
import pytest

from bye_core.detect import DETECTORS
from bye_core.runs import Run
from bye_core.ui.adjust.comparison import compare
from bye_core.ui.adjust.display import method_choices
from bye_core.ui.adjust.method_settings import SLOTS, settings_of, typed
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Session
from bye_core.ui.shared.sample_evidence import Evidence
from bye_core.ui.shared.sample_queue import columns

SESSION = Session(run="made")


@pytest.mark.parametrize("method", DETECTORS)
def test_every_setting_shown_is_one_of_the_method(method):
    names = [field.name for field in fields(DETECTORS[method].settings)]
    shown = settings_of(method)
    assert len(shown) <= SLOTS
    assert {one.name for one in shown} <= set(names)
    assert bool(shown) == (method != "bye")


def test_numbers_take_the_types_of_the_settings():
    assert typed("tcap", {"heads": 4.0, "vote": 0.5}) == {"heads": 4, "vote": 0.5}
    assert typed("tcap", {"heads": 4.5}) == {"heads": 4.5}, "for the method to refuse"
    assert typed("random", {"share": None, "seed": 1}) is None


def test_methods_that_the_scan_lacks_something_for_are_marked(run_path):
    labels = {name: label for label, name in method_choices(Run.open(run_path).table())}
    lacking = {name for name, label in labels.items() if label.endswith("(this scan lacks its input)")}
    assert lacking == {"loss", "surprise", "spectral", "activation"}


@pytest.mark.parametrize("method", ["tcap", "cleansight", "auto", "random"])
def test_layers_can_be_looked_at_whatever_the_method(run_path, method):
    t = compare(SESSION, Trial("made", method))
    assert t.tried.method == method
    assert [report.layer for report in t.reports] == list(range(8))
    assert all(report.mixture is not None for report in t.reports)
    assert [report.sensitive for report in t.reports] == [report.sensitive for report in t.tried.layers]
    assert t.best.bsi == max(report.bsi for report in t.reports)
    assert not t.effect().saved
    assert compare(SESSION, Trial("made")).reports is compare(SESSION, Trial("made")).tried.layers


def test_review_tells_why_in_the_methods_own_words(run_path):
    run = Run.open(run_path)
    t = compare(SESSION, Trial("made", "auto"))
    assert t.tried.verdict == "poisoned"
    evidence = Evidence(t.table, t.tried, columns(t.table, t.tried))
    row = int(np.flatnonzero(t.tried.flagged)[0])
    assert evidence.summary(row).startswith("Flagged: score ")
    assert "is out of place" in evidence.summary(row)
    assert "out of place" not in evidence.summary(int(np.flatnonzero(~t.tried.flagged)[0]))
    assert run.detection().method == "bye", "only tried out"
