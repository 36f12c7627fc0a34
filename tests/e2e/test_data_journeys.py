"""Data in a real browser: bad uploads are refused in words; a folder shows its cards and its faults."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.made_run import make_data
from tests.waiting import until

KEPT = "() => localStorage.getItem('bye-visitor')"  # what the browser remembers, sealed
pytestmark = pytest.mark.usefixtures("chromium")


@pytest.fixture
def page(serve, open_page, fresh):
    page = open_page(serve(run=""))
    page.get_by_role("tab", name="Data").click()
    fresh(page, "#data-path input")
    fresh(page, "#data-upload input[type=file]")
    return page


def upload(page, file):
    page.set_input_files("#data-upload input[type=file]", file)


def open_folder(page, folder):
    page.fill("#data-path input", str(folder))
    page.click("#data-load")


def test_bad_uploads_and_a_good_one(page, expect, tmp_path, home):
    alert = page.locator("#data-notice [role=alert]")
    (tmp_path / "bad.zip").write_bytes(b"this is no archive at all")
    upload(page, tmp_path / "bad.zip")
    expect(alert).to_contain_text("bad.zip is not an archive that can be opened")
    expect(alert).to_contain_text("Pack the data set's folder as .zip")

    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("../../evil.json", "[]")
    upload(page, tmp_path / "evil.zip")
    expect(alert).to_contain_text("leads out of the folder")
    assert not list(home.glob("**/evil.json"))

    data = make_data(tmp_path / "mine", 30)
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as file:
        for item in data.parent.rglob("*"):
            file.write(item, item.relative_to(tmp_path))
    upload(page, tmp_path / "good.zip")
    expect(page.locator(".bye-card")).to_have_count(24)
    expect(alert).to_have_count(0)
    expect(page.locator("#data-sets")).to_contain_text("good")


def test_a_folder_with_hostile_records(page, expect, tmp_path):
    data = make_data(tmp_path / "mine", 30)
    records = json.loads(data.read_text())
    records[0]["conversations"][0]["value"] = "<image>\n<img src=x onerror='window.stolen=1'>${window.stolen=2}"
    records[1]["image"] = "/etc/passwd"
    records[2]["image"] = "images/none.png"
    data.write_text(json.dumps(records))
    (data.parent / "images" / "29.png").write_bytes(b"broken")
    open_folder(page, data.parent)
    cards = page.locator(".bye-card")
    expect(cards).to_have_count(24)
    expect(cards.first).to_contain_text("<img src=x onerror='window.stolen=1'>${window.stolen=2}")
    assert page.evaluate("window.stolen") is None
    expect(page.locator(".bye-thumb img").first).to_have_js_property("naturalWidth", 96)
    page.click("#data-after")
    expect(cards).to_have_count(4)
    expect(page.locator("#data-place")).to_contain_text("page 2 of 2")

    expect(page.locator("#data-summary dd")).to_have_text(["30", "28", "2"])
    page.get_by_role("button", name="Faults: 2 records refused").click()
    faults = page.locator("#data-faults")
    expect(faults).to_contain_text("The image /etc/passwd is outside the data set's folder.")
    page.click("#data-check")
    expect(faults).to_contain_text("images/29.png cannot be decoded")
    expect(page.get_by_role("button", name="Faults: 3 records refused")).to_be_visible()
    expect(page.locator("#data-check")).to_have_text("Check again")
    expect(page.locator("#data-check-stop")).to_be_hidden()


def test_a_table_is_asked_for_its_columns_and_remembered(page, expect, tmp_path):
    data = make_data(tmp_path / "mine", 5)
    rows = [{"bild": f"images/{n}.png", "frage": f"what {n}?", "antwort": "that"} for n in range(5)]
    data.unlink()
    (data.parent / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    open_folder(page, data.parent)
    expect(page.locator("#data-notice [role=alert]")).to_contain_text("bild, frage, antwort")
    expect(page.get_by_label("Format")).to_have_value("vqa")
    columns = {"image": "bild", "question": "frage", "answer": "antwort"}
    fields = {name: page.get_by_label(f"Column: {name}", exact=True) for name in columns}
    for field in fields.values():
        field.wait_for()

    def chosen():
        """Choose the columns that are not chosen; return whether all were, and still are a moment later."""
        page.wait_for_timeout(500)  # Gradio sets the first values of shown fields once more while it draws them
        missing = [name for name, column in columns.items() if fields[name].input_value() != column]
        for name in missing:
            fields[name].fill(columns[name])
            fields[name].press("Enter")
        return not missing

    until(chosen)
    before = page.evaluate(KEPT)
    page.click("#data-again")
    expect(page.locator(".bye-card")).to_have_count(5)
    expect(page.locator(".bye-card").first).to_contain_text("what 0?")
    page.wait_for_function(f"before => ({KEPT})() !== before", arg=before)
    page.reload()
    page.get_by_role("tab", name="Data").click()
    expect(page.locator(".bye-card").first).to_contain_text("what 0?")
