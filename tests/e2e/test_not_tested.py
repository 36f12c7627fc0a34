"""A scan without an adapter: it says beforehand and afterwards that it tests nothing, and what mends that."""

import pytest

from bye_core.runs import Run, jobs
from tests.made_run import make_data

JOB = 240_000  # milliseconds: a model takes its time to load on a busy machine
REASON = "No adapter was scanned"


@pytest.fixture
def ended(home):
    """No job outlives its test."""
    yield
    for job in jobs.list_jobs(home / "jobs"):
        job.stop(grace=0)


def check_settings(page, expect, model):
    """The settings are legible on wide and narrow pages; the model before fine-tuning becomes part of the command."""
    page.locator("#scan-settings button").first.click()
    before, command = page.locator("#scan-before input"), page.locator("#scan-command")
    for width in (420, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for field in ("#scan-before", "#scan-answers"):
            assert page.locator(field).bounding_box()["width"] > 0.6 * width, field
    before.fill(model)
    before.press("Enter")
    expect(command).to_contain_text(f"--answers --before {model}")
    before.fill("none")
    before.press("Enter")
    expect(command).not_to_contain_text("--before")


def test_a_scan_of_a_base_model_is_not_tested_until_it_is_stated(
    serve, open_page, expect, fresh, tiny_folder, tmp_path, home, ended, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = make_data(tmp_path / "mine", 100, rate=0).parent
    page = open_page(serve(run=""))
    page.get_by_role("tab", name="Data", exact=True).click()
    fresh(page, "#data-path input").fill(str(folder))
    page.click("#data-load")
    page.wait_for_selector(".bye-card")
    page.click("#data-scan")
    model, expected = fresh(page, "#scan-model input"), page.locator("#scan-expected")
    expect(page.locator("#scan-data")).to_contain_text("mine")
    model.fill(str(tiny_folder))
    model.press("Enter")
    expect(expected).to_contain_text("This scan will end as “not tested”.")
    page.get_by_label("The model was fine-tuned on this data set").check()
    expect(expected).to_be_empty()
    expect(page.locator("#scan-command")).to_contain_text("--tuned-on-this-data")
    page.get_by_label("The model was fine-tuned on this data set").uncheck()
    expect(expected.get_by_role("button", name="Fine-tune and scan in one go")).to_be_visible()
    check_settings(page, expect, str(tiny_folder))
    page.click("#scan-start")

    header = page.locator("#header")
    expect(header.locator(".bye-verdict.bye-open")).to_have_text("Not tested", timeout=JOB)
    expect(header).to_contain_text(REASON)
    expect(page.locator("#scan-sofar")).to_contain_text(REASON)
    expect(page.locator("#scan-runs")).to_contain_text("Not tested")

    header.get_by_role("button", name="Fine-tune on this set first").click()
    expect(page.get_by_role("tab", name="Fine-tune", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#finetune-data input")).to_have_value("everything: the scanned set, 100 samples")
    expect(page.locator("#finetune-model input")).to_have_value(str(tiny_folder))
    expect(page.locator("#finetune-command")).to_contain_text(str(folder))

    header.get_by_role("button", name="The model was fine-tuned on this data set").click()
    expect(header.locator(".bye-verdict.bye-clean")).to_have_text("No evidence of poisoning")
    expect(header).not_to_contain_text(REASON)
    assert Run.open(home / "runs" / "mine-tiny").settings.tuned_on_this_data
    header.get_by_role("button", name="withdraw").click()
    expect(header.locator(".bye-verdict.bye-open")).to_have_text("Not tested")
