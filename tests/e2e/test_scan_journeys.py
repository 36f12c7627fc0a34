"""A live scan of a tiny model: it outlives the tab and the server, is found again, stops, goes on, and is opened."""

from __future__ import annotations

import json
import re

import pytest

from bye_core.runs import Run, jobs
from tests.e2e.conftest import hold
from tests.made_run import make_data

SAMPLES = 150
SLOW = 240_000  # milliseconds: a model takes its time to load on a busy machine
pytestmark = pytest.mark.usefixtures("chromium")


@pytest.fixture
def ended(home):
    """No job outlives its test."""
    yield
    for job in jobs.list_jobs(home / "jobs"):
        job.stop(grace=0)


def start(page, expect, fresh, model, folder):
    page.get_by_role("tab", name="Scan").click()
    expect(page.locator("#scan-data")).to_contain_text("the demo's set")
    page.click("#scan-choose")
    fresh(page, "#data-path input").fill(str(folder))
    page.click("#data-load")
    page.wait_for_selector(".bye-card")
    page.click("#data-scan")
    expect(page.locator("#scan-data")).to_contain_text("mine")
    page.fill("#scan-model input", "/no/such/model")
    page.click("#scan-start")
    expect(page.locator("#scan-notice [role=alert]")).to_contain_text("neither a folder with a model nor a name")
    expect(page.locator("#scan-start")).to_be_enabled()
    page.fill("#scan-model input", str(model))
    page.locator("#scan-settings > button").click()
    fresh(page, "#scan-batch input").click()
    page.get_by_role("option", name="1", exact=True).click()
    expect(page.locator("#scan-command")).to_contain_text("--batch 1")
    shown = page.locator("#scan-command .cm-line").inner_text()
    page.click("#scan-start")
    expect(page.locator("#scan-stop")).to_be_visible()
    expect(page.locator("#scan-notice [role=alert]")).to_have_count(0)
    return shown


def test_a_scan_outlives_tab_and_server_stops_resumes_and_is_opened(
    serve_apart, serve, tiny_folder, open_page, expect, fresh, tmp_path, home, ended
):
    model, folder = tiny_folder, make_data(tmp_path / "mine", SAMPLES).parent
    server = serve_apart(run="")
    page = open_page(server.url)
    shown = start(page, expect, fresh, model, folder)
    (job,) = jobs.list_jobs(home / "jobs")
    assert job.command == shown, "what is shown is what runs"
    page.close()
    server.kill()
    held = hold(job, 3)
    assert job.state == jobs.RUNNING

    page = open_page(serve(run=""))  # another server
    page.get_by_role("tab", name="Scan").click()
    card, stop = page.locator("#scan-job"), page.locator("#scan-stop")
    expect(card).to_contain_text("mine-tiny")
    expect(page.locator("#running")).to_contain_text("scanning mine-tiny")
    expect(card).to_contain_text(re.compile("samples/s|s/sample"), timeout=SLOW)
    stop.click()
    held.stop()
    expect(card).to_contain_text("stopped", timeout=SLOW)
    expect(stop).to_be_hidden()
    done = Run.open(home / "runs/mine-tiny").counts().scored
    assert 0 < done < SAMPLES
    expect(page.locator("#scan-runs")).to_contain_text("scan stopped")

    page.click("#scan-resume")
    expect(page.locator("#scan-resume")).to_be_hidden()
    expect(stop).to_be_visible()
    expect(card.locator(".bye-state-done")).to_be_visible(timeout=SLOW)
    expect(page.locator("#header")).to_contain_text("mine-tiny", timeout=SLOW)
    expect(page.locator("#header")).not_to_contain_text("not examined")
    expect(page.locator("#scan-figure .js-plotly-plot")).to_be_visible()
    run = Run.open(home / "runs/mine-tiny")
    assert run.counts().scored == SAMPLES
    assert run.detection().method == "auto"
    steps = [json.loads(line) for line in (home / "jobs/mine-tiny/progress.jsonl").read_text().splitlines() if line]
    again = [step for step in steps if step.get("done", 0) > done]
    assert len(again) <= SAMPLES - done + 1, "what was there was not scanned again"
