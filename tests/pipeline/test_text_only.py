"""Records without an image: not scanned, kept by an export, copied by `poison`, left out of a fine-tuning, and said."""

import json
import shutil

import pytest

from bye_core import pipeline, runs
from bye_core.cli import main
from bye_core.data import load_dataset
from bye_core.data.formats import FORMATS
from bye_core.train.settings import CARD, FinetuneSettings
from tests.data import sets
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import last, run_json, write_set

IMAGES, TEXTS = 6, 2
MORE = {
    "text 1": {"id": "t1", "conversations": sets.talk("Paris.", "What is the capital of France?")},
    "text 2": {"id": "t2", "note": 1.50, "conversations": sets.talk("4", "2 + 2?")},
    "empty answer and missing image": {"id": "e", "image": "images/none.png", "conversations": sets.talk("")},
    "broken": {"id": "b", "image": "images/broken.png", "conversations": sets.talk("two")},
    "video": {"id": "v", "video": "v.mp4", "conversations": sets.talk("two", "<video>What?")},
    "no object": 3,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_set(tmp_path_factory.mktemp("raw") / "set", IMAGES)
    (folder / "images/broken.png").write_bytes(b"<html>not found</html>")
    records = json.loads((folder / "data.json").read_text())
    more = list(MORE.values())
    records = [more[0], *records[:3], *more[1:], *records[3:]]
    (folder / "data.json").write_text(json.dumps(records, indent=1))
    return folder


@pytest.fixture(scope="module")
def run(data, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run"
    last(pipeline.scan(str(model), data, path))
    return path


def removed(out):
    return [json.loads(line) for line in (out / "removed.jsonl").read_text().splitlines()]


def test_an_export_keeps_them(data, run, tmp_path, capsys):
    assert main.main(["export", "--run", str(run), "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "2 records without an image were kept unscanned" in text
    assert "kept unscanned" in text
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    counts = {"records": IMAGES + len(MORE), "kept": IMAGES + TEXTS, "removed": 4, "kept_unscanned": TEXTS}
    assert {name: manifest["counts"][name] for name in counts} == counts
    kept = json.loads((tmp_path / "out/data.json").read_text())
    assert [record["id"] for record in kept] == ["t1", 0, 1, 2, "t2", 3, 4, 5], "in the order of the source"
    assert '"note": 1.5' in (tmp_path / "out/data.json").read_text()
    rows = removed(tmp_path / "out")
    assert [row["index"] for row in rows] == sorted({row["index"] for row in rows}), "each record once"
    kinds = {row["id"]: sorted(row["faults"]) for row in rows}
    assert kinds == {
        "e": ["EmptyAnswer", "MissingImage"],
        "b": ["BrokenImage"],
        "v": ["Video"],
        "record-000008": ["MalformedRecord"],
    }
    reason = next(row["reason"] for row in rows if row["id"] == "e")
    assert "answer has no text" in reason
    assert "none.png" in reason
    assert len(load_dataset(tmp_path / "out").text_only) == TEXTS


def test_an_export_leaves_them_out_on_request(run, tmp_path, capsys):
    code, manifest = run_json(capsys, "export", "--run", run, "--out", tmp_path / "out", "--drop-unscanned")
    assert code == 0
    assert manifest["counts"] == {
        "records": IMAGES + len(MORE), "kept": IMAGES, "removed": len(MORE), "undecided_flagged": 0,
    }  # fmt: skip
    reasons = {row["id"]: row["reason"] for row in removed(tmp_path / "out")}
    assert reasons["t1"] == reasons["t2"] == "not scanned: the record names no image"
    assert load_dataset(tmp_path / "out").text_only == ()


@pytest.mark.parametrize("format", sorted(FORMATS.keys() - {"captions"}))  # captions have no question
def test_every_format_keeps_them_or_lists_them(format, run, tmp_path):
    counts = pipeline.export_run(run, tmp_path / "out", format)["counts"]
    again = load_dataset(tmp_path / "out")
    assert counts["records"] == counts["kept"] + counts["removed"]
    assert counts["kept"] == again.size == IMAGES + counts.get("kept_unscanned", 0)
    assert len(again.samples) == IMAGES
    assert len(again.text_only) == counts.get("kept_unscanned", 0)
    listed = {row["id"] for row in removed(tmp_path / "out")}
    assert {"t1", "t2"} <= listed if not again.text_only else not {"t1", "t2"} & listed
    if again.text_only:
        assert [sample.answer for sample in again.text_only] == ["Paris.", "4"]


def test_poison_copies_them(data, tmp_path, capsys):
    code, made = run_json(capsys, "poison", data, "--rate", 1, "--size", 0.25, "--out", tmp_path / "p")
    assert code == 0
    assert {name: made[name] for name in ("samples", "poisoned", "unreadable", "text_only")} == {
        "samples": IMAGES + TEXTS, "poisoned": IMAGES, "unreadable": 4, "text_only": TEXTS,
    }  # fmt: skip
    records = {record["id"]: record for record in json.loads((tmp_path / "p/data.json").read_text())}
    for record in (MORE["text 1"], MORE["text 2"]):
        assert records[record["id"]] == {"id": record["id"], "conversations": record["conversations"]}
    assert not {"t1", "t2"} & set(json.loads((tmp_path / "p/truth.json").read_text())["poisoned"])
    assert len(load_dataset(tmp_path / "p").text_only) == TEXTS


def test_a_fine_tuning_leaves_them_out_and_says_so(data, model, tmp_path, capsys):
    settings = FinetuneSettings(epochs=1, batch=2, micro_batch=2, rank=2)
    arguments = ["finetune", "--model", model, "--data", data, "--out", tmp_path / "a", "--epochs", 1, "--batch", 2]
    code, result = run_json(capsys, *arguments, "--micro-batch", 2, "--rank", 2, "--here")
    assert code == 0
    assert (result["left_out"], result["text_only"]) == (6, TEXTS)
    card = json.loads((tmp_path / "a" / CARD).read_text())
    assert (card["samples"], card["left_out"], card["text_only"]) == (IMAGES, 6, TEXTS)
    facts = pipeline.preflight(str(model), data, settings)
    assert facts["reasons"]["NoImage"] == TEXTS


def test_equal_scans_write_equal_faults(data, model, run, tmp_path):
    last(pipeline.scan(str(model), data, tmp_path / "again"))
    faults = [runs.Run.open(path).faults() for path in (run, tmp_path / "again")]
    assert faults[0] == faults[1]
    assert sum(fault.fatal for fault in faults[0]) == len(MORE)
    broken = next(fault for fault in faults[0] if fault.kind == "BrokenImage")
    assert "it is an HTML page" in broken.problem
    for name in ("one", "other"):
        pipeline.export_run(run if name == "one" else tmp_path / "again", tmp_path / name)
    assert (tmp_path / "one/removed.jsonl").read_bytes() == (tmp_path / "other/removed.jsonl").read_bytes()


def test_nothing_else_is_lost_when_the_source_is_gone(data, run, tmp_path):
    copy = shutil.copytree(data, tmp_path / "copy")
    pipeline.export_run(run, tmp_path / "out", data=copy)
    shutil.rmtree(copy)
    again = load_dataset(tmp_path / "out")
    assert all(again.images(sample) for sample in again.samples)
