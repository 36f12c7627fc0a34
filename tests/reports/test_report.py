"""The report on a run: every flagged sample with its numbers, nothing loaded, and no hostile text comes alive."""

import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from bye_core import pipeline, runs
from bye_core.cli import main
from bye_core.cli.detection import detection_lines
from bye_core.pipeline.detect import NothingDetected
from bye_core.records import Finding
from tests import made_run
from tests.made_run import make_run

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>{{7*7}}"


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def run(tmp_path):
    path = make_run(tmp_path, samples=60, layers=4, heads=2, side=6)
    pipeline.detect_run(path, "bye")
    return path


def test_all_that_is_flagged_with_numbers_and_decisions(run, tmp_path, capsys):
    flagged = runs.Run.open(run).detection().flagged_ids
    pipeline.decide(run, {flagged[0]: "accept"}, reviewer="ada", note="a real one")
    out = tmp_path / "new" / "report.html"
    assert main.main(["report", "--run", str(run), "--out", str(out), "--samples", "4", "--json"]) == 0
    facts = json.loads(out.with_suffix(".json").read_text())
    printed = json.loads(capsys.readouterr().out)
    assert printed == {**facts, "written": str(out), "json": str(out.with_suffix(".json"))}
    assert {row["id"] for row in facts["flagged"]} == set(flagged)
    assert [row["score"] for row in facts["flagged"]] == sorted(
        (row["score"] for row in facts["flagged"]), reverse=True
    )
    decided = next(row for row in facts["flagged"] if row["id"] == flagged[0])
    assert (decided["decision"], decided["reviewer"], decided["note"]) == ("accept", "ada", "a real one")
    counts = {"scored": 60, "failed": 0, "total": 60, "flagged": len(flagged), "accepted": 1, "rejected": 0}
    assert facts["counts"] == {**counts, "undecided_flagged": len(flagged) - 1}

    page = Page(out.read_text())
    heats = [own for tag, own in page.elements if tag == "img" and own.get("class") == "heat"]
    assert len(heats) == 4
    assert "of its attention on the image is on one cell: row 4, column 4" in page.text
    assert "ada a real one" in page.text


def test_a_model_without_a_map_is_reported_with_its_tokens(tmp_path, monkeypatch):
    made = made_run.make_rows
    monkeypatch.setattr(made_run, "make_rows", lambda *args: replace(made(*args), grids=()))
    path = make_run(tmp_path, samples=60, layers=4, heads=2, side=6)
    pipeline.detect_run(path, "bye")
    pipeline.evidence(path)
    out = tmp_path / "report.html"
    assert main.main(["report", "--run", str(path), "--out", str(out), "--samples", "4"]) == 0
    page = Page(out.read_text())
    assert not [own for tag, own in page.elements if tag == "img" and own.get("class") == "heat"]
    assert page.text.count("There is no map") == 4
    assert "of its attention on the image is on one image token: number 22." in page.text


def test_why_they_are_flagged_with_the_suspected_spots(run, tmp_path):
    facts = pipeline.report(run, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert facts["evidence"]["target"]["text"] == "Backdoor Attack!"
    assert (
        "Flagged samples attend to the same position: 100% of the peak cells lie in or beside row 4, column 4"
        in page.text
    )
    spots = [own["alt"] for tag, own in page.elements if tag == "img" and own["alt"].startswith("suspected spot of")]
    flagged = runs.Run.open(run).detection().flagged_ids
    assert sorted(spots) == [f"suspected spot of {id}" for id in sorted(flagged)]
    assert "Mean of 6 suspected spots" in page.text


def test_pictures_that_are_gone_cost_only_the_spots(run, tmp_path):
    for number in range(40):
        (tmp_path / "data" / "images" / f"{number}.png").unlink()
    pipeline.report(run, tmp_path / "report.html")
    text = Page((tmp_path / "report.html").read_text()).text
    assert "6 of 6 images do not open." in text
    assert "Flagged samples answer" in text


def test_the_page_needs_nothing_and_runs_nothing(run, tmp_path):
    pipeline.report(run, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "base", "form"}
    sources = [own[name] for _, own in page.elements for name in ("src", "href") if name in own]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert (tmp_path / "report.html").stat().st_size < 2_000_000


def test_hostile_text_stays_text(tmp_path):
    path = make_run(tmp_path, samples=40, layers=4, heads=2, side=6)
    samples = path / "samples.jsonl"
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    for line in lines:
        line["turns"] = [
            [role, *(HOSTILE if isinstance(part, str) else part for part in parts)] for role, *parts in line["turns"]
        ]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    samples.write_bytes(data)
    runs.edit_settings(path, samples_digest=hashlib.sha256(data).hexdigest(), model=HOSTILE)
    flagged = pipeline.detect_run(path, "bye").flagged_ids
    assert flagged
    pipeline.decide(path, {flagged[0]: "reject"}, reviewer=HOSTILE, note=HOSTILE)
    pipeline.report(path, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert not [own for _, own in page.elements if any(name.startswith("on") for name in own)]
    assert "script" not in {tag for tag, _ in page.elements}
    assert page.text.count("<script>alert(1)</script>") > 4


def test_without_the_data_set_the_numbers_remain(run, tmp_path):
    for picture in (tmp_path / "data/images").iterdir():
        Image.new("RGB", (3, 3)).save(picture)
    (tmp_path / "data/data.json").unlink()
    pipeline.report(run, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    seen = [own["alt"] for tag, own in page.elements if tag == "img"]
    assert seen == ["Attention of flagged samples", "Attention of other samples with the same questions"]
    assert "Entropy" in page.text


def test_before_a_detection_there_is_nothing_to_report(tmp_path):
    with pytest.raises(NothingDetected):
        pipeline.report(make_run(tmp_path, samples=5, layers=2, heads=1, side=2), tmp_path / "r.html")


def test_findings_and_suspects_are_named(run, tmp_path):
    opened = runs.Run.open(run)
    last = opened.detection()
    others = tuple(id for id in last.ids if id not in last.flagged_ids)[:2]
    findings = (Finding(f"The answer {HOSTILE}", last.flagged_ids, ("It is odd.", HOSTILE)),)
    opened.save_detection(replace(last, findings=findings, suspects=others))
    out = tmp_path / "report.html"
    assert main.main(["report", "--run", str(run), "--out", str(out)]) == 0
    page = Page(out.read_text())
    assert "script" not in {tag for tag, _ in page.elements}
    assert "It is odd." in page.text
    assert "2 samples are worth a look. The evidence does not suffice to flag them." in page.text
    facts = json.loads(out.with_suffix(".json").read_text())["detection"]
    assert facts["suspects"] == list(others)
    assert facts["findings"][0]["ids"] == list(last.flagged_ids)
    opened.save_detection(last)
    assert main.main(["report", "--run", str(run), "--out", str(out)]) == 0
    assert "worth a look" not in Page(out.read_text()).text


def test_the_command_names_findings_and_suspects(run):
    last = runs.Run.open(run).detection()
    findings = (Finding('The answer "a\nb"', last.flagged_ids[:1], ()), Finding("Others", last.flagged_ids, ()))
    lines = list(detection_lines(replace(last, findings=findings, suspects=("x\x1b[31m", *map(str, range(10))))))
    assert 'finding: The answer "a b": 1 sample' in lines
    assert f"finding: Others: {len(last.flagged_ids)} samples" in lines
    assert lines[-2] == (
        "11 samples are worth a look, without enough evidence to flag: "
        "x\ufffd[31m, 0, 1, 2, 3, 4, 5, 6, 7, 8 and 1 more."
    )
    assert not any("worth a look" in line for line in detection_lines(last))
