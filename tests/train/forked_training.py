"""Trainings to be killed: `forked_training.py MODEL DATA` loads both once and forks a training for every line it reads.

    {"out", "settings", "die": [POINT, AFTER] | null, "kill": SECONDS | null, "stop": STEP | null, "processes": N}
      -> {"status": exit code, negative for a signal}

With `die` the training kills itself with signal 9 at call number AFTER of POINT; with `kill` it is killed from outside
so long after it began; with `stop` it is asked to end (SIGTERM) once that step is in its progress.
A fork costs no imports. This process itself never runs a backward pass, so that its children can.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor
from transformers.utils import logging

from bye_core.data import load_dataset
from bye_core.models.loading import load_model
from bye_core.process import Stopped, StopRequest
from bye_core.train import checkpoints, finetune, trainer
from bye_core.train.settings import FinetuneSettings


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str, after: int) -> None:
    """POINT: "step" in the middle of one; "saving" with the adapter on disk and nothing else; "marking" just before the
    mark; "removing" in the middle of the removal of an old checkpoint; "finishing" before the card is there, "finished"
    just after."""
    holder, name, late = {
        "step": (trainer.ResumableTrainer, "training_step", True),
        "saving": (trainer, "save_adapter", True),
        "marking": (checkpoints, "write_atomic", False),
        "removing": (checkpoints.shutil, "rmtree", False),
        "finishing": (finetune, "write_atomic", False),
        "finished": (finetune, "write_atomic", True),
    }[point]
    original, calls = getattr(holder, name), iter(range(after, -1, -1))

    def wrapped(*arguments, **more):
        last = next(calls, -1) == 0
        if last and not late:
            die()
        result = original(*arguments, **more)
        if last:
            die()
        return result

    setattr(holder, name, wrapped)


def train(loaded, dataset, order) -> None:
    if order["die"]:
        die_at(*order["die"])
    facts = {"model": loaded.identity, "data_digest": dataset.digest}
    settings = FinetuneSettings(**order["settings"])
    more = {"processes": order["processes"]}
    with StopRequest() as stop:
        finetune.finetune(
            loaded, dataset.samples, dataset.images, settings, Path(order["out"]), facts, stop=stop, **more
        )
    assert all(isinstance(weight, DTensor) is settings.fsdp for weight in loaded.model.parameters())


def child(loaded, dataset, order) -> int:
    try:
        train(loaded, dataset, order)
    except Stopped as stopped:
        return stopped.code
    return 0


def reached(out: Path, step: int) -> bool:
    with contextlib.suppress(OSError):
        return f'"step": {step},' in (out / "progress.jsonl").read_text()
    return False


def interfere(pid: int, order) -> None:
    if order["kill"] is not None:
        time.sleep(order["kill"])
        os.kill(pid, signal.SIGKILL)
    if order["stop"]:
        while not reached(Path(order["out"]), order["stop"]):
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)


def fork(loaded, dataset, order, rank: int, port: int) -> int:
    """The number of the new process."""
    pid = os.fork()
    if pid:
        return pid
    os.dup2(2, 1)  # what libraries print is not an answer
    code = 1
    try:
        if order["processes"] > 1:  # as torchrun tells it
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(order["processes"])}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        code = child(loaded, dataset, order)
    except Exception:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answer(loaded, dataset, order) -> int:
    """The first process's exit code; the others must have ended the same way."""
    (Path(order["out"]) / "progress.jsonl").unlink(missing_ok=True)
    port = free_port()
    pids = [fork(loaded, dataset, order, rank, port) for rank in range(order["processes"])]
    interfere(pids[0], order)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return codes[0] if len(set(codes)) == 1 else 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    loaded, dataset = load_model(sys.argv[1], device="cpu"), load_dataset(sys.argv[2])
    gc.freeze()  # the children collect their own garbage only
    for line in sys.stdin:
        status = answer(loaded, dataset, json.loads(line))
        sys.stdout.write(json.dumps({"status": status}) + "\n")
        sys.stdout.flush()
