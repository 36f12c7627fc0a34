"""No false all-clear: a scan that could not show a back door ends as "not tested", with the reason and an exit code."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from bye_core import pipeline, runs
from bye_core.cli import main
from bye_core.data import load_dataset
from bye_core.train.settings import CARD
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import last, write_set
from tests.train.tiny_adapter import save_tiny_adapter

SETTINGS = pipeline.FinetuneSettings(rank=2, device="cpu", dtype="float32")
ENOUGH = 50
QUIET = ("--method", "bye", "--tau", "1e9")  # finds nothing, whatever the random model looks at


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(model, data, adapter without a card)"""
    folder = tmp_path_factory.mktemp("made")
    model, data = save_tiny(folder / "model"), write_set(folder / "data", ENOUGH)
    return model, data, save_tiny_adapter(model, folder / "adapter", SETTINGS)


@pytest.fixture(scope="module")
def base_run(made, tmp_path_factory):
    model, data, _ = made
    folder = tmp_path_factory.mktemp("base") / "run"
    last(pipeline.scan(str(model), data, folder, settings=pipeline.ScanSettings(device="cpu")))
    return folder


def with_card(adapter, folder, **card):
    shutil.copytree(adapter, folder)
    (folder / CARD).write_text(json.dumps(card))
    return folder


def scanned(made, adapter, folder, *options):
    model, data, _ = made
    more = ["--adapter", str(adapter)] if adapter else []
    fixed = ["--model", str(model), "--data", str(data), "--run", str(folder), "--device", "cpu"]
    return main.main(["scan", *fixed, *more, *options])


def detected(capsys, run, *options):
    """Return (exit code with --fail-on-poison, JSON object) of `detect`."""
    capsys.readouterr()
    code = main.main(["detect", "--run", str(run), *QUIET, "--fail-on-poison", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_a_model_before_fine_tuning_is_not_tested_until_the_user_says_otherwise(base_run, tmp_path, capsys):
    run = shutil.copytree(base_run, tmp_path / "run")
    code, found = detected(capsys, run)
    assert (code, found["verdict"], found["flagged"]) == (4, "not_tested", [])
    assert "No adapter was scanned" in found["reasons"][0]
    assert main.main(["detect", "--run", str(run), *QUIET]) == 0
    words = capsys.readouterr().out.splitlines()
    assert words[-1] == "not tested"
    assert any("Fine-tune the model on this data set" in line for line in words)
    code, found = detected(capsys, run, "--tuned-on-this-data")
    assert (code, found["verdict"]) == (0, "no_evidence")
    assert detected(capsys, run) == (code, found), "the run remembers it"


def test_a_scan_without_adapter_says_so_before_it_starts(made, tmp_path, capsys):
    _, _, bare = made
    run = tmp_path / "run"
    assert scanned(made, None, run, "--tuned-on-this-data") == 0
    assert "not tested" not in capsys.readouterr().err
    assert scanned(made, None, run) == 0
    assert "not tested" not in capsys.readouterr().err, "the run remembers the statement"
    assert scanned(made, bare, tmp_path / "other") == 0
    assert "No adapter is given" not in capsys.readouterr().err
    nowhere = main.main(["scan", "--model", "nowhere", "--data", "nowhere", "--run", str(tmp_path / "third")])
    assert nowhere == 1
    assert "note  No adapter is given" in (said := capsys.readouterr().err)
    assert "`clean` does both" in said


def test_the_guard_is_refused_with_the_reason(base_run, tmp_path, capsys):
    run = shutil.copytree(base_run, tmp_path / "run")
    detected(capsys, run)
    assert main.main(["guard", "--run", str(run), "--data", str(base_run), "--device", "cpu"]) == 1
    message = capsys.readouterr().err
    assert "was not tested" in message
    assert "needs no guard" not in message


def test_only_an_adapter_that_was_trained_on_this_set_tests_it(made, tmp_path, capsys):
    _, data, bare = made
    digest = load_dataset(data).digest
    cards = {
        "right": {"data_digest": digest, "settings": {"epochs": 3.0}},
        "other": {"data_digest": "0" * 64, "settings": {"epochs": 3.0}},
        "short": {"data_digest": digest, "settings": {"epochs": 0.25}},
    }
    expected = {"right": "", "other": "another data set", "short": "saw only 25% of the samples", "bare": "not known"}
    for name, reason in expected.items():
        adapter = with_card(bare, tmp_path / name, **cards[name]) if name in cards else bare
        run = tmp_path / f"run-{name}"
        assert scanned(made, adapter, run) == 0
        code, found = detected(capsys, run)
        assert (code, found["verdict"]) == ((4, "not_tested") if reason else (0, "no_evidence")), name
        assert reason in found["reasons"][0]
    assert scanned(made, bare, run, "--tuned-on-this-data") == 0
    assert detected(capsys, run)[1]["verdict"] == "no_evidence", "a resumed scan can say it too"


def test_a_run_of_an_earlier_version_finds_the_card_beside_the_adapter(made, tmp_path, capsys):
    _, data, bare = made
    adapter = with_card(bare, tmp_path / "a", data_digest=load_dataset(data).digest, settings={"epochs": 3.0})
    run = tmp_path / "run"
    assert scanned(made, adapter, run) == 0
    record = json.loads((run / "run.json").read_text())
    del record["tuning"], record["tuned_on_this_data"], record["crc32"]
    (run / "run.json").write_text(json.dumps(record))
    assert detected(capsys, run)[1]["verdict"] == "no_evidence"
    (adapter / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text() + " ")
    assert detected(capsys, run)[1]["verdict"] == "not_tested", "another adapter lies there now"


def test_a_scan_in_which_every_sample_fails_is_an_error(made, tmp_path, capsys):
    _, data, bare = made
    broken = with_card(bare, tmp_path / "nan", data_digest=load_dataset(data).digest)
    weights = load_file(broken / "adapter_model.safetensors")
    name = next(name for name in weights if name.endswith("lora_B.weight"))
    weights[name][:] = float("nan")
    save_file(weights, broken / "adapter_model.safetensors")
    run = tmp_path / "run"
    capsys.readouterr()
    assert scanned(made, broken, run) == 1
    message = capsys.readouterr().err
    assert f"None of {ENOUGH} samples" in message
    assert "Sample 0: " in message
    code, found = detected(capsys, run)
    assert (code, found["verdict"]) == (4, "not_tested")
    assert found["reasons"][0].startswith(f"None of {ENOUGH} samples was scanned")


def test_too_many_failed_samples_are_not_tested(made, tmp_path, capsys):
    model, data, _ = made
    damaged = shutil.copytree(data, tmp_path / "damaged")
    for number in range(6):
        (damaged / f"images/{number}.png").write_bytes(b"no image")
    run = tmp_path / "run"
    settings = pipeline.ScanSettings(device="cpu", tuned_on_this_data=True)
    assert last(pipeline.scan(str(model), damaged, run, settings=settings)).facts == {"scored": 44, "failed": 6}
    code, found = detected(capsys, run)
    assert (code, found["verdict"]) == (4, "not_tested")
    assert "Only 44 of 50 samples (88%) were scanned" in found["reasons"][0]


def test_thirty_samples_are_not_tested(made, tmp_path, capsys):
    model, _, _ = made
    run = tmp_path / "run"
    settings = pipeline.ScanSettings(device="cpu", tuned_on_this_data=True)
    last(pipeline.scan(str(model), write_set(tmp_path / "few", 30), run, settings=settings))
    for method in ("auto", "bye"):
        detection = pipeline.detect_run(run, method, **({"tau": 1e9} if method == "bye" else {}))
        assert detection.verdict == "not_tested"
        assert [obstacle.kind for obstacle in detection.obstacles] == ["few_samples"]
    assert runs.Run.open(run).detection().obstacles == detection.obstacles, "the saved detection keeps the reason"
