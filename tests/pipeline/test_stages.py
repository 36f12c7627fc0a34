"""The stages chained on a tiny random model: from a raw set to a cleaned one, by the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bye_core import pipeline, runs
from bye_core.cli import main
from bye_core.records import Progress
from bye_core.train.settings import CARD
from tests.models.tiny import save_tiny

COUNT = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


def write_set(folder, count=COUNT):
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    records = []
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / f"images/{i}.png")
        turns = [{"from": "human", "value": "<image>\nhow many?"}, {"from": "gpt", "value": "two"}]
        records.append({"id": i, "image": f"images/{i}.png", "conversations": turns})
    (folder / "data.json").write_text(json.dumps(records))
    return folder


def last(steps):
    for step in steps:
        assert isinstance(step, Progress)
    return step


def run_json(capsys, *arguments):
    code = main.main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_poison_scan_detect_decide_export(tmp_path, model, capsys):
    data = write_set(tmp_path / "raw")
    code, made = run_json(
        capsys, "poison", data, "--rate", 0.25, "--size", 0.25, "--encoding", "png", "--out", tmp_path / "p"
    )
    assert (code, made["samples"], made["poisoned"]) == (0, COUNT, 3)
    truth = json.loads((tmp_path / "p/truth.json").read_text())
    records = json.loads((tmp_path / "p/data.json").read_text())
    targeted = [r["id"] for r in records if r["conversations"][1]["value"] == "Backdoor Attack!"]
    assert sorted(targeted) == sorted(truth["poisoned"])
    for record in records:
        pixels = np.asarray(Image.open(tmp_path / "p" / record["image"]))
        assert (pixels[15:25, 19:29].max() == 0) == (record["id"] in targeted)

    run = tmp_path / "run"
    code, scanned = run_json(capsys, "scan", "--model", model, "--data", tmp_path / "p", "--run", run, "--batch", 5)
    assert (code, scanned["scanned"], scanned["failed"]) == (0, COUNT, 0)
    code, detection = run_json(capsys, "detect", "--run", run, "--tau", 0, "--fail-on-poison")
    assert set(detection) == {
        "verdict",
        "flagged",
        "scores",
        "layers",
        "method",
        "settings",
        "reasons",
        "findings",
        "suspects",
    }
    assert detection["verdict"] == "poisoned"
    assert code == 3
    assert set(detection["scores"]) == {r["id"] for r in records}
    _, score = run_json(capsys, "score", "--run", run, "--truth", tmp_path / "p/truth.json")
    assert score["tp"] + score["fp"] == len(detection["flagged"])

    kept_by_hand, gone_by_hand = (
        detection["flagged"][0],
        next(r["id"] for r in records if r["id"] not in detection["flagged"]),
    )
    assert main.main(["decide", "--run", str(run), "--set", f"{kept_by_hand}=accept", f"{gone_by_hand}=reject"]) == 0
    assert main.main(["decide", "--run", str(run), "--reject-flagged"]) == 0
    capsys.readouterr()
    code, manifest = run_json(capsys, "export", "--run", run, "--out", tmp_path / "out")
    assert manifest["counts"]["undecided_flagged"] == 0
    gone = set(detection["flagged"]) - {kept_by_hand} | {gone_by_hand}
    removed = [json.loads(line) for line in (tmp_path / "out/removed.jsonl").read_text().splitlines()]
    assert {row["id"] for row in removed} == gone
    assert {row["id"]: row["reason"] for row in removed}[gone_by_hand] == "rejected by hand"
    kept = json.loads((tmp_path / "out/data.json").read_text())
    assert kept == [r for r in records if r["id"] not in gone]

    assert main.main(["export", "--run", str(run), "--out", str(tmp_path / "e.jsonl"), "--format", "bye-entropy"]) == 0
    capsys.readouterr()
    _, again = run_json(capsys, "detect", "--entropy", tmp_path / "e.jsonl", "--bsi", "reference", "--tau", 0)
    assert len(again["scores"]) == COUNT


def test_an_export_says_what_flagged_sample_stays_undecided(tmp_path, model, capsys):
    data, run = write_set(tmp_path / "raw"), tmp_path / "run"
    last(pipeline.scan(str(model), data, run))

    def exported():
        assert main.main(["export", "--run", str(run), "--out", str(tmp_path / "out")]) == 0
        counts = json.loads((tmp_path / "out/manifest.json").read_text())["counts"]
        return capsys.readouterr().out, counts.pop("undecided_flagged"), counts

    everything = {"records": COUNT, "kept": COUNT, "removed": 0}
    text, undecided, counts = exported()
    assert (undecided, counts) == (0, everything), "nothing was detected yet"
    assert "without a decision" not in text
    first, second, *others = pipeline.detect_run(run, "bye", tau=0).flagged_ids
    text, undecided, counts = exported()
    assert (undecided, counts) == (2 + len(others), everything)
    assert f"{undecided} of the kept samples are flagged without a decision" in text

    pipeline.decide(run, {first: "accept", second: "reject", **{id: "reject" for id in others}})
    pipeline.decide(run, {first: "none"})
    text, undecided, counts = exported()
    assert (undecided, counts["kept"]) == (1, COUNT - 1 - len(others)), "a withdrawn decision is none"
    assert "1 of the kept samples is flagged without a decision" in text
    pipeline.decide(run, {first: "accept"})
    text, undecided, _ = exported()
    assert undecided == 0
    assert "without a decision" not in text


def test_faulty_samples_are_listed_and_the_rest_is_scanned(tmp_path, model, capsys):
    data = write_set(tmp_path / "raw")
    records = json.loads((data / "data.json").read_text())
    (data / "images/0.png").unlink()
    (data / "images/1.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    records[2]["image"] = "../outside.png"
    records[3]["id"] = 4
    records[5]["conversations"][1]["value"] = ""
    records[6]["conversations"][0]["value"] = "no marker?"
    (data / "data.json").write_text(json.dumps(records))
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.png")
    code, found = run_json(capsys, "check", data, "--strict-ids")
    expected = {
        0: "MissingImage",
        1: "BrokenImage",
        2: "ImageOutsideDataset",
        4: "DuplicateId",
        5: "EmptyAnswer",
        6: "MissingMarker",
    }
    assert code == 1
    assert {fault["index"]: fault["kind"] for fault in found["faults"]} == expected
    assert found["ready"] == COUNT - 6
    names = ["--model", model, "--data", data, "--run", tmp_path / "run", "--strict-ids"]
    code, scanned = run_json(capsys, "scan", *names)
    assert (code, scanned["scanned"], scanned["failed"]) == (0, COUNT - 6, 6)
    assert {fault.index: fault.kind for fault in pipeline.failed(tmp_path / "run")} == expected
    manifest = pipeline.export_run(tmp_path / "run", tmp_path / "out")
    kept = json.loads((tmp_path / "out/data.json").read_text())
    assert kept == [record for i, record in enumerate(records) if i not in expected], "the first of two equal ids stays"
    assert manifest["counts"]["kept"] == COUNT - 6


def test_a_table_with_columns_of_its_own_names(tmp_path, model, capsys):
    folder = write_set(tmp_path / "raw", 3)
    (folder / "data.json").unlink()
    rows = [{"nr": n, "wo": f"images/{n}.png", "frage": "how many?", "antwort": "two"} for n in range(3)]
    (folder / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    names = ["--format", "vqa", "--columns", "id=nr", "image=wo", "question=frage", "answer=antwort"]
    code, checked = run_json(capsys, "check", folder, *names)
    assert (code, checked["ready"]) == (0, 3)
    code, scanned = run_json(capsys, "scan", "--model", model, "--data", folder, "--run", tmp_path / "run", *names)
    assert (code, scanned["scanned"]) == (0, 3)
    code, _ = run_json(capsys, "decide", "--run", tmp_path / "run", "--set", "1=reject")
    code, _ = run_json(capsys, "export", "--run", tmp_path / "run", "--out", tmp_path / "out")
    assert code == 0
    kept = [json.loads(line) for line in (tmp_path / "out/table.jsonl").read_text().splitlines()]
    assert kept == [rows[0], rows[2]]

    tuned = tmp_path / "tuned"
    code, _ = run_json(
        *(capsys, "finetune", "--here", "--model", model, "--data", tmp_path / "out", "--out", tuned),
        *("--epochs", "1", *names),
    )
    assert code == 0
    code, judged = run_json(
        *(capsys, "evaluate", "--model", model, "--adapter", tuned, "--data", tmp_path / "out", *names)
    )
    assert (code, judged["samples"]) == (0, 2)


def test_a_scan_that_is_asked_to_finds_the_poisoned_where_nobody_has(tmp_path, model, capsys):
    data, run = write_set(tmp_path / "data"), tmp_path / "run"
    whole = ("scan", "--model", model, "--data", data, "--run", run)
    _, scanned = run_json(capsys, *whole)
    assert "verdict" not in scanned
    assert runs.Run.open(run).detection() is None
    _, scanned = run_json(capsys, *whole, "--detect")
    found = runs.Run.open(run).detection()
    assert (scanned["verdict"], scanned["flagged"]) == (found.verdict, len(found.flagged_ids))
    assert found.method == "auto"
    run_json(capsys, "detect", "--run", run, "--method", "random")
    _, scanned = run_json(capsys, *whole, "--detect")
    assert runs.Run.open(run).detection().method == "random", "somebody's own choice stands"
    assert scanned["flagged"] == len(runs.Run.open(run).detection().flagged_ids)
    part, some = runs.Run.open(run).detection(), slice(0, 5)
    cut = {name: getattr(part, name)[some] for name in ("ids", "scores", "flagged", "values")}
    runs.Run.open(run).save_detection(replace(part, **cut))
    run_json(capsys, *whole, "--detect")
    again = runs.Run.open(run).detection()
    assert (again.method, len(again.ids)) == ("random", COUNT), "what was scanned since is examined too"
    (run / "detection.json").write_text("{")
    code = main.main([*map(str, (*whole, "--detect")), "--json"])
    said = capsys.readouterr()
    assert code == 0
    assert json.loads(said.out)["scanned"] == COUNT
    assert "no detection" in said.err


def test_a_killed_scan_resumes_to_the_same_bytes(tmp_path, model):
    data = write_set(tmp_path / "raw", 40)
    whole = tmp_path / "whole"
    last(pipeline.scan(str(model), data, whole, settings=pipeline.ScanSettings(batch=2)))
    table = runs.Run.open(whole).table()
    command = [sys.executable, "-m", "bye_core", "scan", "--model", str(model), "--data", str(data), "--batch", "2"]
    killed = tmp_path / "killed"
    ends = []
    for pause in (0.05, 0.2, 0.4):
        child = subprocess.Popen([*command, "--run", str(killed)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not runs.is_run(killed) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(pause)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        ends.append(runs.Run.open(killed).counts().scored)
    subprocess.run([*command, "--run", str(killed)], check=True, capture_output=True, timeout=120)
    again = runs.Run.open(killed).table()
    assert min(ends) < 40, "no kill fell into the scan"
    assert again.ids == table.ids
    for name in ("entropy", "peak", "mass", "layer_entropy", "layer_entropy_reference", "token", "probability"):
        assert getattr(again, name).tobytes() == getattr(table, name).tobytes(), (name, ends)


def test_finetune_in_a_child_lowers_the_loss_and_evaluates(tmp_path, model, capsys):
    data = write_set(tmp_path / "raw")
    adapter = tmp_path / "adapter"
    arguments = ["--epochs", 30, "--batch", 4, "--micro-batch", 2, "--rate", 0.02, "--out", adapter]
    code, _ = run_json(capsys, "finetune", "--model", model, "--data", data, *arguments)
    assert code == 0
    assert (adapter / "adapter_model.safetensors").exists()
    card = json.loads((adapter / CARD).read_text())
    assert card["settings"]["epochs"] == 30
    assert "auto" not in (card["settings"]["device"], card["settings"]["dtype"])
    events = [json.loads(line) for line in (adapter / "progress.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step"]
    # The frozen output head of so small a model bounds how sure it can get: a floor of 0.17.
    assert losses[-1] < 0.25 < losses[0]
    _, judged = run_json(
        capsys, "evaluate", "--model", model, "--adapter", adapter, "--data", data, "--trigger", "patch"
    )
    assert judged["cp"] == 1.0
    assert judged["asr"] == 0.0
    code = main.main(["finetune", "--model", str(model), "--data", str(data), "--out", str(adapter)])
    assert code == 1
    assert "already holds a finished adapter" in capsys.readouterr().err


def test_errors_name_the_remedy(tmp_path, capsys):
    assert main.main(["detect", "--run", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "is not a run folder" in message
    assert "scan" in message
