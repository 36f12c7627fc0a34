"""Inspecting single samples: answers before and after fine-tuning, saved once; the model is a stand-in."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from bye_core import pipeline
from bye_core.models.errors import NotAnswered
from bye_core.pipeline import inspect as inspecting
from bye_core.records import Grid, Inspection, ModelAnswer
from bye_core.runs import Run
from bye_core.runs.errors import UnknownSample
from bye_core.runs.inspections import load_inspection, save_inspection
from tests.made_run import make_run

GRIDS = (Grid(0, 2, 3, 0, (0.0, 0.1, 1.0, 0.9)),)
ROWS = np.arange(4 * 2 * 6, dtype=np.float16).reshape(4, 2, 6)


class StandIn:
    """A model that answers "planted", without its adapter "clean", and refuses the ids in `refused`."""

    def __init__(self):
        self.tuned, self.asked, self.refused = True, [], set()

    @contextmanager
    def before_fine_tuning(self):
        self.tuned = False
        yield self
        self.tuned = True

    def generate(self, loaded, samples, images, batch=32):
        for sample in samples:
            images(sample)
            self.asked.append(sample.id)
            if sample.id in self.refused:
                yield [NotAnswered(id=sample.id, reason="it cannot")]
            else:
                yield [ModelAnswer(sample.id, sample.question, sample.answer, "planted" if self.tuned else "clean")]


@pytest.fixture
def run(tmp_path):
    return Run.open(make_run(tmp_path, samples=5, layers=4, heads=2, side=3))


@pytest.fixture
def model(monkeypatch):
    model = StandIn()
    monkeypatch.setattr(inspecting, "load_scanned", lambda *_, **__: model)
    monkeypatch.setattr("bye_core.models.calls.generate_answers", model.generate)
    monkeypatch.setattr("bye_core.attention.read_heads", lambda *_: (ROWS, GRIDS))
    return model


@pytest.mark.parametrize("adapter", ["", "digest"])
def test_answers_and_heads_are_saved_once(run, model, adapter):
    if adapter:
        object.__setattr__(run.settings, "adapter_digest", adapter)
        opened = SimpleNamespace(open=lambda path: run)
    else:
        opened = Run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspecting.runs, "Run", opened)
        steps = list(pipeline.inspect_samples(run.path, ["s00001", "s00003", "s00001"]))
        again = list(pipeline.inspect_samples(run.path, ["s00003"]))
    assert [(step.done, step.total) for step in steps] == [(0, 2), (1, 2), (2, 2)]
    assert [(step.done, step.total) for step in again] == [(1, 1)], "the model is not asked twice"
    found = pipeline.read_inspections(run.path, ["s00001", "s00002", "s00003"])
    assert [one.id for one in found] == ["s00001", "s00003"]
    assert [(one.answer, one.answer_before) for one in found] == [("planted", "clean" if adapter else None)] * 2
    np.testing.assert_array_equal(found[0].rows, ROWS)
    assert found[0].grids == GRIDS


def test_a_sample_that_the_model_refuses_is_kept_with_its_reason(run, model):
    model.refused.add("s00001")
    list(pipeline.inspect_samples(run.path, ["s00001", "s00002"]))
    refused, answered = pipeline.read_inspections(run.path, ["s00001", "s00002"])
    assert (refused.answer, refused.rows) == (None, None)
    assert "it cannot" in refused.fault
    assert (answered.answer, answered.fault) == ("planted", "")
    with pytest.raises(UnknownSample):
        list(pipeline.inspect_samples(run.path, ["gone"]))


def test_a_damaged_file_is_as_none_and_hostile_ids_have_files_of_their_own(tmp_path):
    for id in ("../../up", "\ud800", "a" * 5000):
        save_inspection(tmp_path, Inspection(id, "yes", None))
        assert load_inspection(tmp_path, id) == Inspection(id, "yes", None)
    assert sorted(path.parent.name for path in tmp_path.rglob("*.npz")) == ["inspections"] * 3
    for path in tmp_path.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:50])
    assert load_inspection(tmp_path, "../../up") is None
