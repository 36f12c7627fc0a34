"""One training shared by two processes, started by torchrun: the same steps as in one.

Each process holds a copy of the model, or with --fsdp a part of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from bye_core.cli import main
from bye_core.data import load_dataset
from bye_core.models.loading import load_model
from bye_core.train import checkpoints, finetune
from bye_core.train.sampler import FILLER, EvenSampler, SampleList
from bye_core.train.settings import CARD, FinetuneSettings
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import write_set

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = 6  # a batch of 4 and one of 2, which one of two processes has to do without
SETTINGS = {"epochs": 2.0, "batch": 4, "micro_batch": 2, "rate": 0.01, "rank": 2}


def torchrun(model, data, *trainings):
    """Run `finetune` once for each of `trainings`, a list of more options; the processes import torch once."""
    options = [word for name, value in SETTINGS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", __file__]
    options = ["finetune", "--here", "--model", str(model), "--data", str(data), *options]
    command.append(json.dumps([[*options, *map(str, more)] for more in trainings]))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=600)


def losses(out):
    events = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events].count("begin") == 1
    return {event["step"]: event["loss"] for event in events if event["event"] == "step"}


def test_two_processes_take_the_steps_of_one(tmp_path):
    model, data = save_tiny(tmp_path / "model", num_hidden_layers=2), write_set(tmp_path / "data", SAMPLES)
    one, *several = outs = [tmp_path / name for name in ("one", "copies", "split")]
    done = torchrun(model, data, ["--out", several[0]], ["--out", several[1], "--fsdp"])
    assert done.returncode == 0, done.stderr[-3000:]
    loaded, dataset = load_model(model, device="cpu"), load_dataset(data)
    facts = {"model": loaded.identity, "data_digest": dataset.digest}
    finetune.finetune(loaded, dataset.samples, dataset.images, FinetuneSettings(**SETTINGS), one, facts)
    first, *cards = (json.loads((out / CARD).read_text()) for out in outs)
    expected, *found = (load_file(out / "adapter_model.safetensors") for out in outs)
    for out, card, weights in zip(several, cards, found, strict=True):
        assert card["steps"] == first["steps"] == 4
        assert card["loss"] == pytest.approx(first["loss"], abs=1e-3)
        assert losses(out) == pytest.approx(losses(one), abs=1e-3)
        assert weights.keys() == expected.keys()
        assert all(weights[name].sub(value).abs().max() < 1e-3 for name, value in expected.items())
        assert not checkpoints.folder_of(out).exists()
    assert [card["settings"]["fsdp"] for card in cards] == [False, True]


def test_everyone_gets_as_many_samples_and_none_counts_twice():
    samples = SampleList([None] * 7)
    order, alone = EvenSampler(samples, seed=3, multiple=4), EvenSampler(samples, seed=3, multiple=1)
    epochs = []
    for epoch in (0, 1):
        order.set_epoch(epoch)
        alone.set_epoch(epoch)
        epochs.append(list(order))
        assert epochs[-1] == [*alone, FILLER]
        assert sorted(epochs[-1]) == [FILLER, *range(7)]
    assert epochs[0] != epochs[1]
    assert len(order) == 8


if __name__ == "__main__":
    for arguments in json.loads(sys.argv[1]):
        assert main.main(arguments) == 0
