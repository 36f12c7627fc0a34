"""(i) A small fine-tuning with a live curve, stopped and found again, and CP and ASR before and after."""

import json
import re
import time

import pytest

from bye_core import pipeline
from bye_core.runs import jobs
from bye_core.ui.shared.exports import export_path
from bye_core.ui.workspace import workspace_of
from tests.e2e.conftest import QUIET, hold

SOME = 24  # samples, so that it takes seconds
JOB = 600_000  # milliseconds that a job may take on a busy machine
EPOCHS = 11  # many steps after the first that the job reports, so that it can be paused before its end
STEPS = EPOCHS * 6


def first_step(job):
    """Return what the newest process of a job reported first, as soon as it is written."""
    deadline = time.monotonic() + JOB / 1000
    while not (begun := [step for step in job.history().steps if step.facts["event"] == "begin"]):
        assert time.monotonic() < deadline, job.log()
        time.sleep(0.1)
    return begun[0]


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
def page(place, serve, open_page, tiny_folder):
    page = open_page(serve())
    page.set_default_timeout(JOB)
    enter(page)
    choose(page, "model", str(tiny_folder))
    for name, value in (("epochs", str(EPOCHS)), ("batch", "4"), ("rank", "2")):
        page.locator(f"#finetune-{name} input").fill(value)
        page.keyboard.press("Tab")
    return page


def enter(page):
    """Until the form is filled for the open run."""
    page.get_by_role("tab", name="Fine-tune", exact=True).click()
    page.locator("#finetune-command", has_text="--model").wait_for()
    page.evaluate(QUIET)  # see `fresh`


def choose(page, name, value):
    page.locator(f"#finetune-{name} input").fill(value)
    page.keyboard.press("Enter")


def test_train_stop_resume_and_compare(page, place, tiny_folder, expect, fresh, click_until):
    expect(page.locator("#finetune-data input")).to_have_value("cleaned: export made, 22 records")
    start, stop = page.locator("#finetune-start"), page.locator("#finetune-stop")
    rank, command = page.locator("#finetune-rank input"), page.locator("#finetune-command")
    rank.fill("0")
    page.keyboard.press("Tab")
    start.click()
    expect(page.locator("#finetune-notice .bye-alert")).to_contain_text("rank = 0 is not valid")
    expect(start).to_be_enabled()
    rank.fill("2")
    page.keyboard.press("Tab")
    # A machine too busy to reach its next step in time has something saved all the same.
    page.get_by_text("More settings").click()
    fresh(page, "#finetune-save_seconds input").fill("0.5")
    page.keyboard.press("Tab")
    expect(command).to_contain_text(f"--epochs {EPOCHS}.0 --batch 4 --micro-batch 4 --rank 2")
    expect(command).to_contain_text("--save-seconds 0.5")
    click_until(start, stop.is_visible)
    (job,) = jobs.list_jobs(place.jobs)
    assert command.inner_text().split("\n")[-1].startswith("python -m bye_core finetune")
    data = export_path(place, "made")
    assert job.command.startswith(f"python -m bye_core finetune --model {tiny_folder} --data {data}")

    held = hold(job, 1)
    status, state = page.locator("#finetune-status"), page.locator("#finetune-status .bye-state")
    expect(status).to_contain_text(re.compile(r"loss \d"), timeout=JOB)
    stop.click()
    held.stop()
    expect(state).to_have_text("stopped")
    expect(stop).to_be_hidden()
    assert job.state == jobs.STOPPED
    saved = page.locator("#finetune-status", has_text="Saved at step")
    step = int(re.search(r"Saved at step (\d+)", saved.inner_text())[1])
    assert step < STEPS

    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("running", timeout=JOB)
    held = hold(job, step + 1)
    expect(status).to_contain_text(f"of {STEPS}")
    expect(page.locator("#finetune-status .bye-found")).to_contain_text("22")
    assert first_step(job).done == step
    # Another window finds the job at work; its curve grows while it runs.
    page.reload()
    enter(page)
    expect(page.locator("#finetune-loss .js-plotly-plot")).to_be_visible(timeout=JOB)
    held.resume()
    expect(state).to_have_text("done", timeout=JOB)
    expect(status).to_contain_text(f"step {STEPS} of {STEPS}")
    points = page.evaluate("document.querySelector('#finetune-loss .js-plotly-plot').data[0].x.length")
    assert points == STEPS // 5 + 1, "every fifth step and the last"
    expect(stop).to_be_hidden()
    assert json.loads((place.adapters / "made-cleaned" / "finetune.json").read_text())["samples"] == 22

    page.locator("#outcome-data").get_by_role("textbox").fill(str(data))
    choose(page, "model", str(tiny_folder))
    page.locator("#outcome-start").click()
    table = page.locator("#outcome-table table").first
    expect(table.locator("tr", has_text="tuned on the remaining samples")).to_contain_text("%", timeout=JOB)
    row = table.locator("tr", has_text="base model")
    expect(row).to_contain_text(" to ")
    expect(row).to_contain_text("22")
    assert row.locator("td").count() == 3
    expect(page.locator("#outcome-start")).to_be_enabled()
    expect(page.locator("#outcome-stop")).to_be_hidden()
    page.get_by_text("By kind of question").click()
    by_type = page.locator("#outcome-table details table")
    expect(by_type).to_be_visible()
    assert by_type.locator("tbody tr").count() == 2 * 3
