"""What the calls of the app's API ask of its tabs."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import gradio as gr
import pytest

from bye_core.runs import jobs
from bye_core.ui import api


@pytest.fixture
def forms(home, monkeypatch):
    """The forms of the scans that are started, none of which runs."""
    started: list = []
    job = SimpleNamespace(id="new", folder=home, state=jobs.DONE, error=lambda: None, result=lambda: {"run": "new"})
    monkeypatch.setattr(api.scan_job, "start", lambda workspace, choice, form: started.append(form) or job)
    return started


def scan(*arguments):
    """Call the API's scan and wait for its end, in a thread: in this one, the browser's event loop may run."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(api.scan(*arguments))).result()


def test_a_scan_is_asked_for_with_all_arguments(forms, tmp_path):
    scan("model", str(tmp_path), "new", "adapter", 4, "cpu", "float32", False, True, "", True, "earlier")
    assert vars(forms[0]) == {
        "model": "model", "adapter": "adapter", "name": "new", "batch": "4", "device": "cpu", "dtype": "float32",
        "before": "earlier", "min_pixels": 0, "max_pixels": 0, "answers": False, "tuned": True,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["demo", "real-photographs"])
def test_no_scan_has_the_name_of_a_shipped_run(forms, tmp_path, name):
    with pytest.raises(gr.Error, match="another name"):
        scan("model", str(tmp_path), name)
    assert forms == []
