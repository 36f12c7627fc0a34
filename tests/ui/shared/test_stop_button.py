"""The Stop button says that a job is being stopped, until it is."""

from threading import Event

import gradio as gr
import pytest

from bye_core.runs import jobs
from bye_core.ui.shared.stop_button import stop_button, stop_job
from tests.waiting import until


class SlowJob:
    kind, state = "scan", jobs.RUNNING

    def __init__(self, folder, error=None):
        self.folder, self.error, self.go = folder, error, Event()

    def stop(self):
        assert self.go.wait(60)
        if self.error:
            raise self.error
        self.state = jobs.STOPPED


def seen(button):
    update = button.constructor_args
    return update.get("value"), update["visible"], update["interactive"]


def test_while_a_job_is_stopped_its_button_says_so_also_at_a_tick(tmp_path):
    job, button = SlowJob(tmp_path), gr.Button(render=False)
    assert seen(stop_button(job, job.state)) == ("Stop", True, True)
    stopping = stop_job(job, button)
    assert seen(next(stopping)[button]) == ("Stopping at the next batch", True, False)
    assert seen(stop_button(job, job.state)) == ("Stopping at the next batch", True, False)
    assert seen(stop_button(SlowJob(tmp_path / "another"), jobs.RUNNING)) == ("Stop", True, True)
    job.go.set()
    assert list(stopping) == []
    assert job.state == jobs.STOPPED
    assert seen(stop_button(job, job.state)) == ("Stop", False, True)


def test_a_job_that_cannot_be_stopped_can_be_tried_again(tmp_path):
    job, button = SlowJob(tmp_path, PermissionError()), gr.Button(render=False)
    job.go.set()
    with pytest.raises(PermissionError):
        list(stop_job(job, button))
    assert seen(stop_button(job, job.state)) == ("Stop", True, True)


def test_a_page_that_is_closed_meanwhile_does_not_save_the_job(tmp_path):
    job = SlowJob(tmp_path)
    stopping = stop_job(job, gr.Button(render=False))
    next(stopping)
    stopping.close()
    job.go.set()
    until(lambda: job.state == jobs.STOPPED)


def test_two_clicks_stop_a_job_once(tmp_path):
    """The second one would stop the job again after somebody has resumed it."""
    job, button, stops = SlowJob(tmp_path), gr.Button(render=False), []
    stop = job.stop
    job.stop = lambda: (stops.append(1), stop())
    first, second = stop_job(job, button), stop_job(job, button)
    next(first)
    next(second)
    job.go.set()
    assert list(first) == list(second) == []
    assert stops == [1]
    job.state = jobs.RUNNING  # resumed
    assert seen(stop_button(job, job.state)) == ("Stop", True, True)


def test_without_a_job_there_is_nothing_to_stop():
    assert list(stop_job(None, gr.Button(render=False))) == []
    assert seen(stop_button(None, "")) == ("Stop", False, True)
