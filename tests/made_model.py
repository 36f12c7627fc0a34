"""A stand-in for a scanned model, for tests of the causal check that replace what the model does."""

from contextlib import contextmanager
from types import SimpleNamespace

from bye_core.pipeline import causal_check
from bye_core.workers import InProcess


class OneProcess(InProcess):
    """Runs tasks in this process; its model has only a device."""

    def __init__(self, width=1):
        super().__init__(SimpleNamespace(device=SimpleNamespace(type="cpu")), width)

    @property
    def facts(self):
        return SimpleNamespace(device="cpu", identity=None)


def use_runner(monkeypatch, run, width=1):
    """Let the causal check of `run` use a stand-in that runs `width` tasks at the same time."""

    @contextmanager
    def opened(source, workers):
        assert source.adapter == run.settings.adapter
        yield OneProcess(width)

    monkeypatch.setattr(causal_check, "open_model", opened)
    monkeypatch.setattr(causal_check, "check_scanned", lambda *_: None)
