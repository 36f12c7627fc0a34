"""(f) Export: what stays and goes in numbers, the archive, and what is in it."""

import json
import zipfile

import pytest

from bye_core import pipeline
from bye_core.runs import Run
from tests.e2e.conftest import QUIET


@pytest.fixture
def path(made):
    path = made()
    flagged = Run.open(path).detection().flagged_ids
    pipeline.decide(path, {id: "reject" for id in flagged[:9]} | {flagged[9]: "accept"}, reviewer="ana", note="a dot")
    pipeline.decide(path, {"s00000": "reject" if "s00000" not in flagged else "accept"}, reviewer="ana")
    return path


@pytest.fixture
def page(path, serve, open_page, tmp_path):
    page = open_page(serve())
    page.get_by_role("tab", name="Export", exact=True).click()
    return page


def test_export_download_and_open_the_archive(page, path, expect, tmp_path):
    summary = page.locator("#export-summary")
    expect(summary).to_contain_text("110 kept")
    expect(summary).to_contain_text("9 flagged and rejected")
    expect(summary).to_contain_text("1 rejected by hand")
    expect(summary).to_contain_text("1 flagged but accepted")
    expect(summary).to_contain_text("2 flagged and undecided")
    expect(page.locator("#export-command")).to_contain_text("python -m bye_core export --run")

    page.locator("#export-reject").click()
    expect(summary).to_contain_text("108 kept")
    expect(page.locator("#header")).to_contain_text("12 of 12 reviewed")
    page.get_by_role("button", name="Undo these 2").click()
    expect(summary).to_contain_text("110 kept")
    page.locator("#export-reject").click()
    expect(summary).to_contain_text("108 kept")

    page.locator("#export-start").click()
    expect(page.locator("#export-status")).to_contain_text("108 records kept, 12 listed")
    with page.expect_download() as download:
        page.locator("#export-zip").click()
    download.value.save_as(tmp_path / "made.zip")
    assert download.value.suggested_filename == "made.zip"
    expect(page.get_by_role("button", name="Save made.zip")).to_be_visible()
    check(tmp_path / "made.zip", path)


def check(archive_path, run_path):
    """Right records gone, all others as they were, with their pictures, and removed.jsonl right."""
    rejected = {id for id, decision in Run.open(run_path).decisions().items() if decision.choice == "reject"}
    source = json.loads((run_path.parents[1] / "made" / "data" / "data.json").read_text())
    with zipfile.ZipFile(archive_path) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        records = json.loads(archive.read("made/data.json"))
        removed = [json.loads(line) for line in archive.read("made/removed.jsonl").splitlines()]
        manifest = json.loads(archive.read("made/manifest.json"))
    assert records == [record for record in source if record["id"] not in rejected]
    assert {f"made/{record['image']}" for record in records} <= names
    assert {row["id"] for row in removed} == rejected
    assert {row["decision"] for row in removed} == {"reject"}
    assert [row["reason"] for row in removed].count("flagged and rejected") == 11
    assert manifest["counts"] == {"records": 120, "kept": 108, "removed": 12, "undecided_flagged": 0}


def test_a_failed_export_says_why_and_leaves_the_button_ready(page, path, expect, fresh, click_until):
    expect(page.locator("#export-summary")).to_contain_text("110 kept")
    name = page.locator("#export-name textarea, #export-name input")
    name.fill("../elsewhere")
    page.locator("#export-start").click()
    expect(page.locator("#export-status .bye-alert")).to_contain_text("cannot be the name of an export")
    name.fill("again")
    start, status = page.locator("#export-start"), page.locator("#export-status")
    click_until(start, lambda: "110 records kept" in status.inner_text())
    expect(start).to_be_enabled()
    expect(start).to_have_text("Export")

    page.get_by_role("button", name="Push to the Hugging Face hub").click()
    token, push = fresh(page, "#export-token input"), page.locator("#export-push")
    expect(push).to_be_disabled()
    page.locator("#export-repository").get_by_role("textbox").fill("not a repository")
    token.fill("hf_secret")
    expect(push).to_be_enabled()
    page.evaluate(QUIET)
    expect(push).to_be_enabled()
    push.click()
    expect(page.locator("#export-pushed")).to_contain_text("is not the name of a repository")
    expect(token).to_have_value("")
    expect(push).to_be_disabled()
