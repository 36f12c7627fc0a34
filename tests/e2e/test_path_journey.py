"""One path and one context: from an upload to a download, another set while a run is open, links with Back."""

from __future__ import annotations

import json
import re
import zipfile

import pytest

from bye_core.demo.tour import DEMO
from bye_core.runs import Run, jobs
from bye_core.ui.tabs.data import checking
from bye_core.ui.workspace import workspace_of
from tests.made_run import make_data

JOB = 600_000  # milliseconds that a fine-tuning and a scan may take on a busy machine
SAMPLES = 12
pytestmark = pytest.mark.usefixtures("chromium")


@pytest.fixture
def place(home, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    place = workspace_of("")
    yield place
    for job in jobs.list_jobs(place.jobs):
        job.stop(grace=5)


@pytest.fixture
def archive(tmp_path):
    """The first samples of the demo's set, packed as a user packs a set."""
    source = DEMO / "data"
    records = json.loads((source / "poisoned.json").read_text())[:SAMPLES]
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as file:
        file.writestr("data.json", json.dumps(records))
        for record in records:
            file.write(source / record["image"], record["image"])
    return tmp_path / "mine.zip"


class Clicks:
    """Clicks, and counts the clicks."""

    def __init__(self, page) -> None:
        self.page, self.count = page, 0

    def on(self, target) -> None:
        target.click()
        self.count += 1


def test_from_an_upload_to_a_download_in_few_clicks(
    place, serve, open_page, review, expect, fresh, archive, monkeypatch, tmp_path
):
    monkeypatch.setattr(checking, "settings_for", lambda model: checking.FinetuneSettings(epochs=1, rank=2))
    page = open_page(serve(run=""))
    page.set_default_timeout(JOB)
    header = page.locator("#header")
    expect(header.locator(".bye-welcome")).to_contain_text("This is a demo: it found 120 poisoned samples")
    header.get_by_role("button", name="Check my own set").click()
    fresh(page, "#data-upload input[type=file]").set_input_files(archive)
    expect(page.locator("#data-summary h3")).to_have_text("mine")
    # The header says which project is open, and how to get back to the run that was closed.
    expect(header.locator(".bye-notice")).to_contain_text("The project is now mine.")
    expect(header.locator("summary")).to_contain_text("Project mine")

    clicks = Clicks(page)
    expect(page.locator("#data-model input")).to_have_value("the demo's model")
    clicks.on(page.locator("#data-check-set"))
    expect(page.locator("#data-checking .bye-stage-running")).to_be_visible(timeout=JOB)
    shown = review(page)  # opens by itself at the end
    expect(page.get_by_role("tab", name="Review", exact=True)).to_have_attribute("aria-selected", "true", timeout=JOB)
    expect(header.locator("summary")).to_contain_text("Run mine")
    page.wait_for_url(re.compile(r"run=mine\b.*sample="))  # the first sample of the new run is shown
    clicks.on(shown.part("reject"))
    shown.settle()
    clicks.on(page.get_by_role("tab", name="Export", exact=True))
    expect(page.locator("#export-summary")).to_contain_text(f"{SAMPLES - 1} kept")
    clicks.on(page.locator("#export-start"))
    expect(page.locator("#export-status")).to_contain_text(f"{SAMPLES - 1} records kept")
    with page.expect_download() as download:
        clicks.on(page.locator("#export-zip"))
    download.value.save_as(tmp_path / "cleaned.zip")
    assert clicks.count <= 7
    with zipfile.ZipFile(tmp_path / "cleaned.zip") as cleaned:
        assert len(json.loads(cleaned.read("mine/data.json"))) == SAMPLES - 1
    (job,) = jobs.list_jobs(place.jobs)
    assert (job.kind, job.option("--until")) == ("clean", "detect")
    assert Run.open(place.runs / "mine").settings.adapter == str(place.root / "cleanings/mine/suspect")


def names(page) -> str:
    return page.locator("#header summary").inner_text()


def test_another_set_while_a_run_is_open_is_another_project_in_every_tab(
    made, serve, open_page, expect, fresh, tmp_path
):
    made()
    other = make_data(tmp_path / "other", 8).parent
    page = open_page(serve())
    page.get_by_role("tab", name="Data", exact=True).click()
    expect(page.locator("#data-summary dd").first).to_have_text("120")
    fresh(page, "#data-path input").fill(str(other))
    page.click("#data-load")
    header = page.locator("#header")
    expect(header.locator(".bye-notice")).to_contain_text("The run made was closed.")
    said = {
        "Fine-tune": ("#finetune-data input", "everything: tmp/other, 8 samples"),
        "Scan": ("#scan-data", "other"),
        "Clean": ("#clean-data", "other"),
        "Attack": ("#attack-data", "other"),
        "Export": ("#export-notice", "No run is open"),
        "Layers": ("#layers-said", "No run is open"),
    }
    for tab, (selector, words) in said.items():
        page.get_by_role("tab", name=tab, exact=True).click()
        target = page.locator(selector).first
        if selector.endswith("input"):
            expect(target).to_have_value(words.replace("tmp/", f"{other.parent.name}/"))
        else:
            expect(target).to_contain_text(words)
    header.get_by_role("button", name="Back to made").click()
    expect(header.locator(".bye-notice")).to_have_count(0)
    expect(header.locator("summary")).to_contain_text("Run made")
    page.get_by_role("tab", name="Data", exact=True).click()
    expect(page.locator("#data-summary dd").first).to_have_text("120")


def test_links_name_run_tab_and_sample_and_back_returns(made, copy_run, serve, open_page, expect):
    copy_run(made(), "second")
    page = open_page(f"{serve(run='')}?run=second&tab=scan")
    scan, review = (page.get_by_role("tab", name=name, exact=True) for name in ("Scan", "Review"))
    expect(scan).to_have_attribute("aria-selected", "true")
    header = page.locator("#header")
    expect(header.locator("summary")).to_contain_text("Run second")
    header.get_by_role("button", name="Step 4: Review").click()
    expect(review).to_have_attribute("aria-selected", "true")
    page.wait_for_url("**/?*tab=review*")
    header.locator("summary").click()
    header.get_by_role("button", name="made", exact=True).click()
    expect(header.locator("summary")).to_contain_text("Run made")
    page.wait_for_url("**/?*run=made*")
    page.go_back()
    expect(header.locator("summary")).to_contain_text("Run second")
    page.go_back()
    expect(scan).to_have_attribute("aria-selected", "true")
    page.go_forward()
    expect(review).to_have_attribute("aria-selected", "true")

    page.goto(f"{serve(run='')}?run=nowhere&tab=export")
    page.wait_for_selector("html[data-known]")
    expect(header.locator(".bye-notice")).to_contain_text("The link names the run “nowhere”. It does not exist here")
    assert "nowhere" not in page.url


def test_a_run_is_renamed_compared_and_deleted_in_the_header(made, copy_run, serve, open_page, expect, home):
    path = made()
    other = copy_run(path, "second")
    page = open_page(serve())
    header, summary = page.locator("#header"), page.locator("#header summary")
    summary.click()
    header.get_by_role("button", name="Rename made", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("<b>First</b>")
    dialog.get_by_role("button", name="Rename").click()
    expect(summary).to_contain_text("Run <b>First</b>")
    assert path.is_dir(), "the folder keeps its name"
    summary.click()
    header.get_by_role("button", name="Compare second", exact=True).click()
    expect(page.locator("#compared")).to_contain_text("12 flagged in both")
    page.set_viewport_size({"width": 420, "height": 900})
    box = page.locator("#compared td").nth(1).bounding_box()
    assert box["x"] + box["width"] <= 420, "both runs are in sight on a narrow page"
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator("#compared").get_by_role("button", name="Close").click()
    expect(page.locator("#compared")).to_be_hidden()
    summary.click()
    header.get_by_role("button", name="Delete second", exact=True).click()
    dialog.get_by_role("button", name="Cancel").click()
    assert other.is_dir()
    summary.click()
    header.get_by_role("button", name="Delete second", exact=True).click()
    dialog.get_by_role("button", name="Delete").click()
    # Also in the closed menu: the list is made anew once the run is deleted.
    expect(header.get_by_role("button", name="Delete second", exact=True, include_hidden=True)).to_have_count(0)
    assert not other.exists()
