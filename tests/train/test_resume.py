"""A training stopped or killed at any moment, started again: the same weights as one that was left alone."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from bye_core.train import checkpoints
from bye_core.train.settings import CARD
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import write_set

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL")

SERVER = Path(__file__).with_name("forked_training.py")
ROOT = SERVER.parents[2]
# Two epochs of 4 steps, the last of each cut short; dropout, so that every random number counts.
SETTINGS = {"epochs": 2, "batch": 4, "micro_batch": 2, "rate": 0.01, "dropout": 0.1, "rank": 2, "save_steps": 1}
STEPS, SAMPLES = 8, 14


class Server:
    def __init__(self, model, data):
        command = [sys.executable, str(SERVER), str(model), str(data)]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, text=True, env={**os.environ, "PYTHONPATH": path})

    def train(self, out, die=None, kill=None, stop=None, processes=1, **changed):
        order = {"out": str(out), "settings": {**SETTINGS, **changed}, "die": die, "kill": kill, "stop": stop}
        order["processes"] = processes
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["status"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    server = Server(save_tiny(folder / "model", num_hidden_layers=1), write_set(folder / "data", SAMPLES))
    yield server
    server.process.stdin.close()
    server.process.wait(60)


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """A training that nobody disturbed, without a single checkpoint."""
    out = tmp_path_factory.mktemp("whole") / "adapter"
    assert server.train(out, save_steps=0) == 0
    return out


def weights(out):
    return (out / "adapter_model.safetensors").read_bytes()


def card(out):
    return json.loads((out / CARD).read_text())


def losses(out):
    events = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    return {event["step"] for event in events if event["event"] == "step"}


def assert_same(out, whole):
    assert weights(out) == weights(whole)
    assert card(out)["steps"] == STEPS
    assert card(out)["loss"] == pytest.approx(card(whole)["loss"], rel=1e-5)
    assert not checkpoints.folder_of(out).exists()


@pytest.mark.parametrize(
    ("die", "gone_on_from"),
    [
        (["step", 1], None),  # before the first checkpoint
        (["step", 11], 6),  # in the middle of an accumulation, in the second epoch
        (["saving", 3], 3),
        (["marking", 4], 3),  # the first such write is that of training.json
        (["removing", 1], 4),
        (["finishing", 0], STEPS),
    ],
)
def test_killed_at_the_worst_moments(server, whole, tmp_path, die, gone_on_from):
    out = tmp_path / "adapter"
    assert server.train(out, die=die) == -9
    assert not (out / CARD).exists()
    found = checkpoints.newest(checkpoints.folder_of(out))
    assert (found and checkpoints.step_of(found)) == gone_on_from
    assert server.train(out) == 0
    assert_same(out, whole)


def test_killed_at_random_times(server, whole, tmp_path):
    out, rng, ends = tmp_path / "adapter", random.Random(0), []
    start = time.monotonic()
    assert server.train(tmp_path / "timed") == 0  # how long it takes on this machine
    seconds = time.monotonic() - start
    while not (out / CARD).exists() and len(ends) < 5:
        ends.append(server.train(out, kill=rng.uniform(0.1, 0.6) * seconds))
    assert -9 in ends
    if ends[-1]:
        finished = (out / CARD).exists()  # killed just before it would have ended by itself: nothing is left to train
        assert server.train(out) == (1 if finished else 0)
    assert_same(out, whole)


def test_killed_once_it_is_finished(server, whole, tmp_path):
    """Its checkpoints are of no use: the next attempt is refused, as with any finished one, and removes them."""
    out = tmp_path / "adapter"
    assert server.train(out, die=["finished", 0]) == -9
    assert (out / CARD).exists()
    assert checkpoints.list_newest_first(checkpoints.folder_of(out))
    assert server.train(out) == 1
    assert_same(out, whole)


def test_stopped_where_it_is_saved_and_its_curve_goes_on(server, whole, tmp_path):
    out = tmp_path / "adapter"
    assert server.train(out, stop=5, save_steps=0) == 143
    saved = checkpoints.step_of(checkpoints.newest(checkpoints.folder_of(out)))
    assert 5 <= saved < STEPS
    assert server.train(out, save_steps=0) == 0
    assert_same(out, whole)
    assert losses(out) == losses(whole) == {5, STEPS}


def test_what_was_cut_off_or_damaged_is_ignored_and_removed(server, whole, tmp_path):
    out = tmp_path / "adapter"
    assert server.train(out, die=["step", 8]) == -9
    root = checkpoints.folder_of(out)
    newest, older = checkpoints.list_newest_first(root)
    (root / "checkpoint-7").mkdir()
    data = bytearray((newest / "optimizer.pt").read_bytes())
    data[-100] ^= 1
    (newest / "optimizer.pt").write_bytes(data)
    assert checkpoints.newest(root) == older
    assert server.train(out) == 0
    assert_same(out, whole)


def test_a_split_model_resumes_and_learns_what_one_process_does(server, tmp_path):
    one, out = tmp_path / "one", tmp_path / "adapter"
    how = {"processes": 2, "fsdp": True, "micro_batch": 1, "dropout": 0.0}
    assert server.train(one, save_steps=0, dropout=0.0) == 0
    assert server.train(out, die=["step", 9], **how) == -9
    assert server.train(out, **{**how, "fsdp": False}) == 1  # refused: DDP's checkpoints have another format
    assert server.train(out, **how) == 0
    assert card(out)["loss"] == pytest.approx(card(one)["loss"], abs=1e-3)
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (one, out))
    assert first.keys() == second.keys()
    assert all(second[name].sub(value).abs().max() < 1e-3 for name, value in first.items())
    assert not checkpoints.folder_of(out).exists()


def test_two_processes_killed_and_stopped_go_on_together(server, tmp_path):
    """In the second epoch, whose order is not the first's; one of them is asked to stop, and both do."""
    whole, out, how = tmp_path / "whole", tmp_path / "adapter", {"processes": 2, "micro_batch": 1}
    assert server.train(whole, save_steps=0, **how) == 0
    assert server.train(out, die=["step", 9], **how) == -9
    assert server.train(out, stop=5, **how) == 143
    assert checkpoints.step_of(checkpoints.newest(checkpoints.folder_of(out))) >= 5
    assert server.train(out, **how) == 0
    assert_same(out, whole)
