"""The attack that a model is measured with, as several tabs ask for it. No gradio."""

from __future__ import annotations

from pathlib import Path

from bye_core import pipeline
from bye_core.attacks import TRIGGERS, FixedAnswer, make_trigger
from bye_core.errors import DataError
from bye_core.ui import demo_run

TEST = demo_run.DEMO / "data" / "test.json"

PAPER_SIZE = 1 / 16

TARGET = FixedAnswer().text

NO_TRIGGER = "none"


class NoTruthFile(DataError):
    problem = "There is no truth file {path}."
    remedy = "Name the truth.json that `poison` wrote, or leave the field empty and choose a trigger."


def attack_arguments(trigger: str, size: float, target: str, truth: str) -> list[str]:
    """How the command line names the attack of a form: the one of the truth file, else a trigger and its answer.

    Raises NoTruthFile, what is wrong with the file, and a SettingError for a size that makes no sense.
    """
    if truth.strip():
        path = Path(truth.strip()).expanduser()
        if not path.is_file():
            raise NoTruthFile(path=path)
        pipeline.read_attack(path)
        return ["--attack", str(path.resolve())]
    if trigger == NO_TRIGGER:
        return []
    sizes = size_of(trigger, size)
    make_trigger(trigger, **sizes)
    return [
        "--trigger",
        trigger,
        *(part for size in sizes.values() for part in ("--size", f"{size:g}")),
        "--target",
        target,
    ]


def size_of(trigger: str, size: float) -> dict[str, float]:
    """The size as a setting, for the triggers that have one."""
    return {"size": size} if trigger in TRIGGERS and "size" in TRIGGERS[trigger].settings() else {}
