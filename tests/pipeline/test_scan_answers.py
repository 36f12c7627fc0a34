"""`scan --answers`: read with the rows, kept in the run, and never mixed with a scan that went without."""

import json

import numpy as np
import pytest
from peft import LoraConfig, get_peft_model

from bye_core import pipeline, runs
from bye_core.cli import main
from bye_core.models.loading import load_model
from bye_core.pipeline import ScanSettings
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import write_set

COUNT = 5


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("model") / "tiny", num_hidden_layers=1))


def scan(model, data, run, **settings):
    steps = pipeline.scan(model, data, run, settings=ScanSettings(batch=2, **settings))
    return list(steps)[-1].facts


def test_answers_are_read_on_request_and_a_resumed_scan_goes_on_with_it(tmp_path, model, capsys):
    data, run = write_set(tmp_path / "raw", COUNT), tmp_path / "run"
    steps = pipeline.scan(model, data, run, settings=ScanSettings(batch=2, answers=True))
    next(steps), next(steps)
    steps.close()
    assert runs.Run.open(run).counts().scored == 2
    assert scan(model, data, run)["scored"] == COUNT
    table = runs.Run.open(run).table()
    assert np.isfinite(table.nll).all()
    assert (table.nll > 0).all()
    assert table.nll_before is None, "there is no adapter"
    assert table.hidden.shape == (COUNT, 32)

    plain = tmp_path / "plain"
    command = ["scan", "--model", model, "--data", str(data), "--run", str(plain), "--batch", "2", "--progress", "none"]
    scan(model, data, plain)
    assert runs.Run.open(plain).table().nll is None
    assert main.main([*command, "--answers"]) == 1
    assert "answers false, now true" in capsys.readouterr().err


def test_a_sample_whose_answer_is_too_long_is_scanned_without_it(tmp_path, model):
    data, run = write_set(tmp_path / "raw", COUNT), tmp_path / "run"
    records = json.loads((data / "data.json").read_text())
    records[1]["conversations"][1]["value"] = "what " * 600
    (data / "data.json").write_text(json.dumps(records))
    facts = scan(model, data, run, answers=True)
    assert (facts["scored"], facts["failed"]) == (COUNT, 0)
    assert np.isnan(runs.Run.open(run).table().nll).tolist() == [False, True, False, False, False]
    (fault,) = runs.Run.open(run).faults()
    assert (fault.kind, fault.fatal, fault.index) == ("PromptTooLong", False, 1)
    assert pipeline.failed(run) == ()


def test_with_an_adapter_the_attention_before_fine_tuning_is_kept(tmp_path, model):
    data = write_set(tmp_path / "raw", COUNT)
    network = load_model(model, device="cpu")
    adapted = get_peft_model(network.model, LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    run, base = tmp_path / "run", tmp_path / "base"
    settings = ScanSettings(batch=2, answers=True)
    list(pipeline.scan(model, data, run, tmp_path / "adapter", settings))
    scan(model, data, base)
    table, before = runs.Run.open(run).table(), runs.Run.open(base).table()
    for name in ("entropy", "peak", "mass"):
        np.testing.assert_allclose(getattr(table, f"{name}_before"), getattr(before, name), rtol=2e-3, atol=1e-4)
        assert not np.allclose(getattr(table, name), getattr(before, name), atol=1e-3), "the adapter does something"
    assert before.entropy_before is None
