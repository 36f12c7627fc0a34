"""(i) A small fine-tuning with a live curve, stopped and found again, and CP and ASR before and after."""

import json
import re
import time

import pytest

from bye_core import pipeline
from bye_core.runs import jobs
from bye_core.ui.shared.exports import export_path
from bye_core.ui.workspace import workspace_of

SOME = 24  # samples, so that it takes seconds
JOB = 600_000  # milliseconds that a job may take on a busy machine


def begin_of(job):
    """Its first step, once it is written: a busy machine shows the process before that has said anything."""
    deadline = time.monotonic() + JOB / 1000
    while not (found := [one for one in job.history().steps if one.facts["event"] == "begin"]):
        assert time.monotonic() < deadline, "it never began"
        time.sleep(0.1)
    return found[0]


@pytest.fixture
def model(tmp_path):
    tiny = pytest.importorskip("tests.models.tiny")
    return str(tiny.save_tiny(tmp_path / "model"))


@pytest.fixture
def place(made, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = made(samples=SOME, layers=3)
    pipeline.decide(path, reject_flagged=True)
    place = workspace_of("")
    pipeline.export_run(path, export_path(place, "made"))
    yield place
    for job in jobs.list_jobs(place.jobs):
        job.stop(grace=5)


@pytest.fixture
def page(place, serve, open_page, model):
    page = open_page(serve())
    page.set_default_timeout(JOB)
    enter(page)
    choose(page, "model", model)
    for name, value in (("epochs", "8"), ("batch", "4"), ("rank", "2")):
        page.locator(f"#finetune-{name} input").fill(value)
        page.keyboard.press("Tab")
    return page


def enter(page):
    """Until the form is filled for the open run."""
    page.get_by_role("tab", name="Fine-tune", exact=True).click()
    page.locator("#finetune-command", has_text="python -m bye_core finetune").wait_for()


def choose(page, name, value):
    page.locator(f"#finetune-{name} input").fill(value)
    page.keyboard.press("Enter")


def test_train_watch_and_compare(page, place, model, expect, made):
    expect(page.locator("#finetune-data input")).to_have_value("cleaned: export made, 22 records")
    command = page.locator("#finetune-command")
    expect(command).to_contain_text("--epochs 8.0 --batch 4 --micro-batch 4 --rank 2")
    page.locator("#finetune-start").click()
    state = page.locator("#finetune-status .bye-state")
    expect(page.locator("#finetune-stop")).to_be_visible()

    # Another window finds the job at work; its curve grows while it runs.
    page.reload()
    enter(page)
    expect(page.locator("#finetune-loss .js-plotly-plot")).to_be_visible(timeout=JOB)
    expect(state).to_have_text("done", timeout=JOB)
    expect(page.locator("#finetune-status")).to_contain_text("step 48 of 48")
    points = page.evaluate("document.querySelector('#finetune-loss .js-plotly-plot').data[0].x.length")
    assert points == 48 // 5 + 1, "every fifth step and the last"
    expect(page.locator("#finetune-stop")).to_be_hidden()
    (job,) = jobs.list_jobs(place.jobs)
    assert command.inner_text().split("\n")[-1].startswith("python -m bye_core finetune")
    assert job.command.startswith(f"python -m bye_core finetune --model {model} --data {export_path(place, 'made')}")
    assert json.loads((place.adapters / "made-cleaned" / "finetune.json").read_text())["samples"] == 22

    page.locator("#outcome-data").get_by_role("textbox").fill(str(export_path(place, "made")))
    choose(page, "model", model)
    page.locator("#outcome-start").click()
    table = page.locator("#outcome-table table").first
    expect(table.locator("tr", has_text="tuned on the remaining samples")).to_contain_text("%", timeout=JOB)
    row = table.locator("tr", has_text="base model")
    expect(row).to_contain_text(" to ")
    expect(row).to_contain_text("22")
    assert row.locator("td").count() == 3
    expect(page.locator("#outcome-start")).to_be_enabled()
    expect(page.locator("#outcome-stop")).to_be_hidden()
    page.get_by_text("By type of question").click()
    by_type = page.locator("#outcome-table details table")
    expect(by_type).to_be_visible()
    assert by_type.locator("tbody tr").count() == 2 * 3


def test_stop_stops_goes_on_and_a_fault_is_told(page, place, expect, tmp_path):
    page.locator("#finetune-epochs input").fill("500")
    page.keyboard.press("Tab")
    # A machine too busy to reach its next step in time has something saved all the same.
    page.get_by_text("More settings").click()
    page.locator("#finetune-save_seconds input").fill("0.5")
    page.keyboard.press("Tab")
    command = page.locator("#finetune-command")
    expect(command).to_contain_text("--epochs 500.0")
    expect(command).to_contain_text("--save-seconds 0.5")
    page.locator("#finetune-start").click()
    expect(page.locator("#finetune-status")).to_contain_text(re.compile(r"loss \d"), timeout=JOB)
    page.locator("#finetune-stop").click()
    expect(page.locator("#finetune-status .bye-state")).to_have_text("stopped")
    expect(page.locator("#finetune-stop")).to_be_hidden()
    (job,) = jobs.list_jobs(place.jobs)
    assert job.state == jobs.STOPPED
    saved = page.locator("#finetune-status", has_text="Saved at step")
    step = int(re.search(r"Saved at step (\d+)", saved.inner_text())[1])
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#finetune-status .bye-state")).to_have_text("running", timeout=JOB)
    expect(page.locator("#finetune-status")).to_contain_text("of 3,000")
    expect(page.locator("#finetune-status .bye-found")).to_contain_text("22")
    assert begin_of(job).done == step
    page.locator("#finetune-stop").click()
    expect(page.locator("#finetune-status .bye-state")).to_have_text("stopped")

    page.locator("#finetune-rank input").fill("0")
    page.keyboard.press("Tab")
    page.locator("#finetune-start").click()
    expect(page.locator("#finetune-notice .bye-alert")).to_contain_text("rank = 0 is not valid")
    expect(page.locator("#finetune-start")).to_be_enabled()
