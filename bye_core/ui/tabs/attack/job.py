"""Poisoning a set on purpose: the form, what it means, samples to look at, the command and the job. No gradio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.attacks import TRIGGERS, Attack, make_target
from bye_core.attacks.poison import SampleFilter, choose_samples
from bye_core.attacks.preview import Preview
from bye_core.attacks.targets import REFUSAL
from bye_core.attacks.triggers.blend import FACE, NOISE
from bye_core.data import DataSet, load_dataset
from bye_core.errors import ByeError
from bye_core.pipeline.check import NoSampleReady
from bye_core.runs import jobs
from bye_core.ui import demo_run
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.limits import NotHere, limits
from bye_core.ui.workspace import Workspace, hosted

KIND = "poison"
CLEAN = demo_run.DEMO / "data" / "clean.json"
SHOWN = 3  # samples at a time
LONGEST_SIDE = 1024  # pixels: what is larger is scaled down before it is looked at
# What a person may mean by a target, and the words to begin with.
TARGET_WORDS = {
    "answer": ("one answer to everything", "Backdoor Attack!"),
    "append": ("a sentence after the right answer", "Visit example.com."),
    "refusal": ("a refusal", REFUSAL),
    "swap": ("one word for another", "blue"),
}
TARGET_FLAGS = {"answer": "--target", "append": "--append", "refusal": "--refuse"}
# Every setting of every trigger, as "blend.a".
SETTINGS = {f"{name}.{setting}": rule for name, kind in TRIGGERS.items() for setting, rule in kind.settings().items()}
DEFAULTS = {f"{name}.{one}": getattr(kind(), one) for name, kind in TRIGGERS.items() for one in kind.settings()}
_clean = Cache(1)


@dataclass(frozen=True)
class Form:
    """The fields of the tab; `settings` by their names in SETTINGS, `word` for a swapped word only."""

    triggers: tuple[str, ...] = ("patch",)
    mix: bool = False
    kind: str = "answer"
    text: str = TARGET_WORDS["answer"][1]
    word: str = ""
    rate: float = 0.1
    seed: int = 0
    only_answer: str = ""
    only_question: str = ""
    encoding: str = "jpeg"
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def only(self) -> SampleFilter:
        return SampleFilter(self.only_answer.strip(), self.only_question.strip())

    def own(self) -> dict[str, Any]:
        """The settings of the chosen triggers."""
        return {name: value for name, value in self.settings.items() if name.partition(".")[0] in self.triggers}


@dataclass(frozen=True)
class Source:
    """The set to poison; `choice` is None for the demo's clean set."""

    choice: data_sets.Choice | None
    path: str
    name: str

    def arguments(self) -> list[str]:
        extra = pipeline.source_arguments(self.choice.format, self.choice.columns) if self.choice else []
        return [self.path, *extra]


def source(place: Workspace, data: str) -> Source:
    """The set chosen in Data; where none is, or the demo's poisoned one, the demo's clean set. Raises NothingChosen."""
    if data in ("", data_sets.DEMO) and CLEAN.is_file():
        return Source(None, str(CLEAN), "the demo's clean set")
    choice = data_sets.find(place, data)
    return Source(choice, data_sets.path_of(place, choice), choice.name)


def open_source(place: Workspace, origin: Source) -> DataSet:
    """Raises a DataError."""
    if origin.choice is None:
        return _clean.get(origin.path, lambda: load_dataset(origin.path))
    dataset = data_sets.open_set(place, origin.choice)
    if not dataset.samples:
        raise NoSampleReady(path=origin.name, size=dataset.size)
    return dataset


def attack_of(form: Form) -> Attack:
    """Raises a SettingError for what makes no sense."""
    settings = form.own()
    key = str(settings.get("blend.key", FACE))
    if hosted() and key not in (FACE, NOISE):
        raise NotHere(what="A key picture of the server's disk", instead="Choose the face or noise.")
    word = {"word": form.word.strip()} if form.kind == "swap" else {}
    target = make_target(form.kind, text=form.text, **word)
    return pipeline.plan_attack(form.triggers, settings, target, form.mix)


def chosen(dataset: DataSet, form: Form, attack: Attack) -> tuple[str, ...]:
    """Ids of the samples that would be poisoned. Raises a SettingError."""
    return choose_samples(dataset.samples, form.rate, form.seed, attack, form.only)


def previews(
    dataset: DataSet, form: Form, attack: Attack, ids: tuple[str, ...], page: int
) -> Iterator[tuple[str, Preview | ByeError]]:
    """What the attack makes of some of the samples that would be poisoned; an error where a picture does not open."""
    first = page * SHOWN
    for turn, id in enumerate(ids[first : first + SHOWN], start=first):
        sample = dataset.by_id[id]
        try:
            yield id, pipeline.preview_poison(dataset, sample, attack, form.seed, turn, form.encoding, LONGEST_SIDE)
        except ByeError as error:
            yield id, error


def pages(ids: tuple[str, ...]) -> int:
    return max(1, -(-len(ids) // SHOWN))


def out_of(place: Workspace, form: Form, origin: Source) -> Path:
    """The folder that a start would write now: a data set of the workspace."""
    stem = Path(origin.path).stem if origin.choice is None else origin.name.rpartition("/")[2].partition(".")[0]
    return data_sets.free_folder(place.data, form.name or "-".join([stem, *form.triggers]), place.jobs)


def arguments(form: Form, attack: Attack, origin: Source, out: Path | str) -> list[str]:
    """Of `python -m bye_core poison`; settings that are as usual are left out."""
    found = [*origin.arguments(), "--trigger", *form.triggers, *(["--mix"] if form.mix else [])]
    differs = [name for name, value in _read(attack).items() if value != DEFAULTS[name]]
    # As typed: what is read of a picture's path is the whole picture.
    found += ["--set", *(f"{name}={form.own()[name]}" for name in differs)] if differs else []
    if form.kind == "swap":
        found += ["--swap", form.word.strip(), form.text]
    elif (form.kind, form.text) == ("refusal", REFUSAL):
        found += ["--refuse"]
    else:
        found += _option(TARGET_FLAGS[form.kind], form.text)
    found += ["--rate", f"{form.rate:g}", "--seed", str(form.seed)]
    for flag, text in (("--only-answer", form.only.answer), ("--only-question", form.only.question)):
        found += _option(flag, text) if text else []
    return [*found, "--encoding", form.encoding, "--out", str(out)]


def _option(flag: str, text: str) -> list[str]:
    """A text that begins with a dash would pass for a flag."""
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _read(attack: Attack) -> dict[str, Any]:
    return {f"{one.name}.{setting}": getattr(one, setting) for one in attack.triggers for setting in one.settings()}


def start(place: Workspace, form: Form, origin: Source) -> jobs.Job:
    """Write the poisoned set in a process of its own. Raises a ByeError where something stands against it."""
    if hosted():
        raise NotHere(what="Writing poisoned sets", instead="Copy the command and run it on your own machine.")
    attack = attack_of(form)
    chosen(open_source(place, origin), form, attack)
    out = out_of(place, form, origin)
    command = arguments(form, attack, origin, out)
    return jobs.start(place.jobs / out.name, KIND, command, title=out.name, at_most=limits().jobs)


def job_named(place: Workspace, id: str) -> jobs.Job | None:
    """That job, else the one to show: the newest that runs, else the newest."""
    found = [job for job in jobs.list_jobs(place.jobs) if job.kind == KIND]
    wanted = [job for job in found if job.id == id] + [job for job in found if job.state == jobs.RUNNING] + found
    return wanted[0] if wanted else None
