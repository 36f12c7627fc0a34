"""Reads the form fields that describe the attack whose success is measured on a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bye_core import pipeline
from bye_core.attacks import TRIGGERS, Attack, FixedAnswer
from bye_core.errors import DataError
from bye_core.pipeline.poison import attack_arguments
from bye_core.ui import demo_run
from bye_core.ui.shared import data_sets
from bye_core.ui.workspace import Workspace

TEST = demo_run.DEMO / "data" / "test.json"  # the form's value for the demo's test set
PAPER_SIZE = 1 / 16  # side of the patch / shorter side of the image in BYE, arXiv 2505.16916
TARGET = FixedAnswer().text
NO_TRIGGER = "none"


class NoTruthFile(DataError):
    problem = "The truth file {path} does not exist."
    remedy = "Enter the path of the truth.json that `poison` wrote, or leave the field empty and choose a trigger."


@dataclass(frozen=True)
class KnownAttack:
    """The attack whose success is measured on a model.

    `file` is the truth file that describes the attack and `seed` the seed in it; both are None without a truth file.
    """

    attack: Attack
    file: Path | None = None
    seed: int | None = None

    def arguments(self) -> list[str]:
        """Return the command-line arguments that name the attack."""
        return ["--attack", str(self.file)] if self.file else attack_arguments(self.attack)


def read_attack_form(trigger: str, size: float | None, target: str, truth: str) -> KnownAttack | None:
    """Return the attack that the truth file records; without a file, the chosen trigger and answer; else None.

    Raises: NoTruthFile if the file does not exist; NoAttackRecorded if it describes no attack; SettingError if the
    size or the answer is not valid.
    """
    if truth.strip():
        path = Path(truth.strip()).expanduser()
        if not path.is_file():
            raise NoTruthFile(path=path)
        attack, seed = pipeline.read_attack(path)
        return KnownAttack(attack, path.resolve(), seed)
    if trigger == NO_TRIGGER:
        return None
    has_size = trigger in TRIGGERS and "size" in TRIGGERS[trigger].settings()
    settings = {"size": size or 0} if has_size else {}
    return KnownAttack(pipeline.plan_attack([trigger], settings, FixedAnswer(target or TARGET)))


def resolve_test_set(workspace: Workspace, text: str) -> str:
    """Return the value of `--data` for the test set.

    Raises: NothingChosen if `text` is empty; NoSuchSet if the upload it names is gone; NotHere if it is a path on a
    public host.
    """
    return str(TEST) if text.strip() == str(TEST) else data_sets.path_of_text(workspace, text)
