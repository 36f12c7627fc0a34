"""`guard` on a tiny random model: one picture, a whole set, and what it refuses."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from bye_core import pipeline, runs
from bye_core.cli import main
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import COUNT, last, write_set


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """(run, data, model); detection finds something, whatever the random model looks at."""
    folder = tmp_path_factory.mktemp("guard")
    model, data = save_tiny(folder / "model"), write_set(folder / "data")
    last(pipeline.scan(str(model), data, folder / "run", settings=pipeline.ScanSettings(device="cpu")))
    pipeline.detect_run(folder / "run", "bye", tau=0)
    return folder / "run", data, model


def ask(capsys, *arguments):
    code = main.main(["guard", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_scanned_set_is_judged_as_it_was_detected(scanned, tmp_path, capsys):
    run, data, _ = scanned
    detection = runs.Run.open(run).detection()
    out = tmp_path / "new" / "readings.jsonl"
    code, facts = ask(capsys, "--run", run, "--data", data, "--device", "cpu", "--out", out, "--fail-on-poison")
    assert code == 3
    assert facts["triggered"] == list(detection.flagged_ids)
    assert list(facts["values"].values()) == pytest.approx(detection.values.tolist(), abs=1e-4)
    assert facts["share"] == len(detection.flagged_ids) / COUNT
    assert facts["share_interval"][0] < facts["share"] < facts["share_interval"][1]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows if row["triggered"]] == facts["triggered"]


def test_one_picture_with_its_rows(scanned, capsys):
    run, data, _ = scanned
    detection, table = runs.Run.open(run).detection(), runs.Run.open(run).table()
    given = ["--run", run, "--image", data / "images/3.png", "--question", "how many?", "--device", "cpu"]
    code, facts = ask(capsys, *given)
    assert code == 0
    assert facts["value"] == pytest.approx(detection.values[table.ids.index("3")], abs=1e-4)
    assert facts["triggered"] == bool(detection.flagged[table.ids.index("3")])
    grid = facts["attention"]["grids"][0]
    assert np.sum(grid["values"][0]) * facts["attention"]["unit"] == pytest.approx(1, abs=1e-3)
    assert facts["modes"]["means"] == list(detection.final.means)


def test_one_bad_picture_of_a_set_ends_nothing(scanned, tmp_path, capsys):
    run, data, _ = scanned
    copy = shutil.copytree(data, tmp_path / "copy")
    (copy / "images/2.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    _, facts = ask(capsys, "--run", run, "--data", copy, "--device", "cpu")
    assert (facts["samples"], facts["failed"]) == (COUNT - 1, 1)
    assert "cannot be decoded" in facts["faults"]["2"]


def test_what_it_refuses(scanned, tmp_path, capsys):
    run, data, model = scanned

    def refused(*arguments):
        assert main.main(["guard", *map(str, arguments)]) == 1
        return capsys.readouterr().err

    assert "either an image and a question, or a data set" in refused("--run", run, "--image", "x.png")
    picture = ["--image", data / "images/0.png", "--question", "how many?"]
    other = shutil.copytree(model, tmp_path / "model")
    (other / "generation_config.json").write_text("{}")
    assert "but with another model" in refused("--run", run, *picture, "--model", other, "--device", "cpu")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    assert "cannot be decoded" in refused("--run", run, "--image", broken, "--question", "how many?", "--device", "cpu")
    quiet = shutil.copytree(run, tmp_path / "quiet")
    pipeline.detect_run(quiet, "bye", tau=1e9)
    assert "was not tested" in (message := refused("--run", quiet, *picture))
    assert "Fine-tune the model on this data set" in message
    run_once = runs.Run.open(quiet)
    enough = replace(run_once.detection(), verdict="no_evidence", limitations=())
    run_once.save_detection(enough)
    assert "no evidence of poisoning" in refused("--run", quiet, *picture)
