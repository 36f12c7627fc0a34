"""(k) From a base model and a suspect set to a report, in one job with its stages shown, found again after a reload."""

import re

import pytest

from bye_core.runs import jobs
from bye_core.ui.workspace import workspace_of
from tests.made_run import make_data

JOB = 600_000  # milliseconds that a job of three processes in a row may take on a busy machine
pytestmark = pytest.mark.usefixtures("chromium")


@pytest.fixture
def place(home, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    place = workspace_of("")
    yield place
    for job in jobs.list_jobs(place.jobs):
        job.stop(grace=5)


def enter(page):
    page.get_by_role("tab", name="Clean", exact=True).click()
    page.locator("#clean-data", has_text="suspect").wait_for()


def test_one_button_cleans_and_every_stage_can_be_opened(place, serve, open_page, expect, fresh, tiny_folder, tmp_path):
    model, folder = tiny_folder, make_data(tmp_path / "suspect", 12).parent
    page = open_page(serve(run=""))
    page.set_default_timeout(JOB)
    page.get_by_role("tab", name="Data", exact=True).click()
    fresh(page, "#data-path input").fill(str(folder))
    page.click("#data-load")
    page.wait_for_selector(".bye-card")
    enter(page)
    expect(page.locator("#clean-stages li").nth(3)).to_have_text("Export the remaining samples, if poisoning is found")
    fresh(page, "#clean-model input").fill(str(model))
    page.keyboard.press("Enter")
    page.get_by_text("Fine-tuning settings").click()
    fresh(page, "#clean-epochs input").fill("1")
    page.keyboard.press("Tab")
    expect(page.locator("#clean-command")).to_contain_text("--epochs 1.0")
    expect(page.locator("#clean-command")).to_contain_text(str(model))
    page.click("#clean-start")
    expect(page.locator("#clean-stop")).to_be_visible()
    first = page.locator("#clean-stages li", has_text="Fine-tune on everything")
    expect(first).to_have_class(re.compile("bye-stage-(running|done)"), timeout=JOB)

    page.reload()
    enter(page)
    stages = page.locator("#clean-stages")
    expect(stages.locator(".bye-state")).to_have_text("done", timeout=JOB)
    expect(page.locator("#clean-stop")).to_be_hidden()
    assert stages.locator("li.bye-stage-waiting").count() == 0
    (job,) = jobs.list_jobs(place.jobs)
    assert (job.kind, job.id) == ("clean", "suspect-cleaning")

    stages.locator("[data-open='finetune suspect']").click()
    expect(page.locator("#clean-opened pre")).to_be_visible()
    stages.locator("[data-open=report]").click()
    report = page.frame_locator("#clean-opened iframe")
    expect(report.locator(".verdict")).to_be_visible()
    expect(page.locator("#clean-opened iframe")).to_be_in_viewport(ratio=0.5)
    stages.locator("[data-open=detect]").click()
    expect(page.get_by_role("tab", name="Layers", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#header")).to_contain_text("suspect-cleaning")
