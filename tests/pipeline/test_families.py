"""The whole loop on a tiny model of other families than LLaVA-1.5, as an analyst runs it."""

import json

import pytest

from bye_core import runs
from bye_core.cli import main
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import write_set

COUNT = 8
FAMILIES = ("gemma3", "internvl", "llava_next", "qwen2_5_vl", "qwen3_vl", "smolvlm")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_whole_loop(family, tmp_path, capsys):
    def call(command, *arguments):
        code = main.main([command, *map(str, arguments), "--json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return json.loads(captured.out)

    model, raw = save_tiny(tmp_path / "model", family), write_set(tmp_path / "raw", COUNT)
    data, adapter, run = tmp_path / "data", tmp_path / "adapter", tmp_path / "run"
    loaded = ["--model", model, "--adapter", adapter, "--device", "cpu"]
    assert call("check", raw)["ready"] == COUNT
    call("poison", raw, "--rate", 0.25, "--size", 0.25, "--encoding", "png", "--out", data)
    options = ["--out", adapter, "--batch", 2, "--micro-batch", 2, "--epochs", 1]  # 4 steps
    call("finetune", "--here", "--model", model, "--device", "cpu", "--data", data, *options)
    scanned = call("scan", *loaded, "--data", data, "--run", run, "--batch", 4, "--answers")
    assert (scanned["scanned"], scanned["failed"]) == (COUNT, 0)
    flagged = call("detect", "--run", run, "--tau", 0)["flagged"]
    assert 0 < len(flagged) < COUNT
    call("evidence", "--run", run, "--check", "--device", "cpu")
    assert all(rows.grids for rows in (runs.Run.open(run).rows(id) for id in flagged))
    picture = ["--image", raw / "images/0.png", "--question", "how many?"]
    assert call("guard", "--run", run, *picture, "--device", "cpu")["value"] > 0
    exported = call("export", "--run", run, "--out", tmp_path / "clean")
    assert exported["counts"] == {"records": COUNT, "kept": COUNT, "removed": 0, "undecided_flagged": len(flagged)}
    test = write_set(tmp_path / "test", 2)
    assert call("evaluate", *loaded, "--data", test, "--trigger", "patch")["asr_samples"] == 2
