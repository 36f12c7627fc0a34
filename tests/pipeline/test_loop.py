"""The whole loop on tiny random models of seven families, through the command line."""

import json

import pytest
from PIL import Image

from bye_core.cli.main import main
from bye_core.cli.output import DONE
from bye_core.records import NATS, NORMALISED
from bye_core.runs import Run
from tests import made_run
from tests.models.tiny import save_tiny

SAMPLES, STEPS, LEAST, MOST = 12, 4, 256, 768
# By family: options of the fine-tuning. One of Qwen's limits the pixels of an image, 64 of which are a token.
FAMILIES = {
    "internvl": (),
    "qwen2_5_vl": ("--min-pixels", LEAST, "--max-pixels", MOST),
    "qwen3_vl": (),
    "llava_next": (),
    "smolvlm": (),
    "gemma3-crops": (),
    "idefics2": (),  # of the generic family, and without a map
    "aya_vision": (),  # described by the generic family
}


def command(capsys, *arguments):
    """Run one subcommand in this process; return its result."""
    code = main([*map(str, arguments), "--json"])
    output = capsys.readouterr()
    assert code == DONE, output.out + output.err
    return json.loads(output.out.splitlines()[-1])


def make_data(folder):
    """Return a data set whose pictures have different shapes."""
    data = made_run.make_data(folder, SAMPLES, rate=0, size=(60, 60))
    for number in range(0, 40, 3):
        path = folder / "images" / f"{number}.png"
        Image.open(path).resize((90, 40)).save(path)
    return data


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loop(tmp_path, capsys, family):
    model, adapter, run = save_tiny(tmp_path / "model", family), tmp_path / "adapter", tmp_path / "run"
    raw, data, limits = make_data(tmp_path / "raw"), tmp_path / "data", FAMILIES[family]
    assert not command(capsys, "check", raw)["faults"]
    command(capsys, "poison", raw, "--rate", 0.25, "--size", 0.25, "--encoding", "png", "--out", data)
    source = ("--model", model, "--data", data)
    tuned = (*source, "--adapter", adapter)

    options = ("--epochs", 2, "--batch", 6, "--micro-batch", 3, "--rank", 2, "--gradient-checkpointing", *limits)
    assert command(capsys, "finetune", "--here", *source, "--out", adapter, *options)["steps"] == STEPS
    scanned = command(capsys, "scan", *tuned, "--run", run, "--answers")
    assert (scanned["scanned"], scanned["failed"]) == (SAMPLES, 0)
    assert command(capsys, "detect", "--run", run)["method"] == "auto"
    assert command(capsys, "detect", "--run", run, "--method", "bye", "--no-select")["verdict"] == "poisoned"
    facts = command(capsys, "evidence", "--run", run, "--check")
    assert facts["causes"]["checked"] == facts["flagged"] > 0
    assert not facts["causes"]["faults"]
    picture = data / Run.open(run).samples()[0].images[0]
    guarded = command(capsys, "guard", "--run", run, "--image", picture, "--question", made_run.QUESTIONS[0])
    own = Run.open(run)
    assert guarded["value"] == pytest.approx(own.detection().values[own.table().ids.index("s00000")], abs=1e-4)
    assert command(capsys, "guard", "--run", run, "--data", data)["samples"] == SAMPLES
    command(capsys, "report", "--run", run, "--out", tmp_path / "report.html")
    command(capsys, "decide", "--run", run, "--reject-flagged")
    kept = command(capsys, "export", "--run", run, "--out", tmp_path / "clean")
    assert kept["counts"]["kept"] == SAMPLES - facts["flagged"], kept
    measured = command(capsys, "evaluate", *tuned, "--trigger", "patch", "--target", made_run.TARGET)
    assert (measured["samples"], measured["failed"]) == (SAMPLES, 0)
    check_tokens(own, limits)


def check_tokens(run, limits):
    """The pixel limits of the training are those of the scan; entropies are normalised where V differs."""
    low, high = run.table().token_range
    assert run.detection().entropy_unit == (NORMALISED if low < high else NATS)
    assert (run.settings.min_pixels, run.settings.max_pixels) == ((LEAST, MOST) if limits else (0, 0))
    if limits:
        assert LEAST <= low * 64 < high * 64 <= MOST
