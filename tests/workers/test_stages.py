"""The other stages that run a model over many samples give with workers what they give in one process."""

import shutil

import pytest

from bye_core import pipeline
from bye_core.attacks import make_attack
from bye_core.pipeline import ScanSettings
from bye_core.workers import ONE_PROCESS, WorkerSettings


@pytest.fixture
def workers(cluster, connected):
    return WorkerSettings(1, cluster.address)


def last(steps):
    return list(steps)[-1].facts


def test_evaluate_with_an_attack_and_a_broken_image(workers, model, data, tmp_path, broken):
    attack = make_attack(["patch"])
    results = []
    for number, where in enumerate((ONE_PROCESS, workers)):
        out = tmp_path / f"{number}.jsonl"
        facts = last(pipeline.evaluate(model, broken, attack=attack, device="cpu", out=out, workers=where))
        results.append(({**facts, "answers": ""}, out.read_bytes()))
    assert results[0] == results[1]
    assert results[0][0]["left_out"] == 1
    assert results[0][0]["asr_samples"] == 23


def test_guard(workers, model, data, tmp_path, broken):
    run = tmp_path / "run"
    last(pipeline.scan(model, data, run, settings=ScanSettings(device="cpu")))
    pipeline.detect_run(run, "bye", tau=0)
    with pipeline.guard_in_workers(run, workers, device="cpu") as opened:
        distributed = last(pipeline.guard_set(opened, broken))
    assert distributed == last(pipeline.guard_set(pipeline.open_guard(run, device="cpu"), broken))
    assert (distributed["samples"], distributed["failed"]) == (23, 1)


@pytest.fixture
def broken(data, tmp_path):
    """The data set with an image that ends early."""
    copy = shutil.copytree(data, tmp_path / "broken")
    image = copy / "images/3.png"
    image.write_bytes(image.read_bytes()[:-40])
    return copy
