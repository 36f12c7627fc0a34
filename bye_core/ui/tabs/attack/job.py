"""Poisons a data set on purpose: reads the form, previews samples, and starts the job that writes the set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.attacks import TARGETS, TRIGGERS, Attack, make_target
from bye_core.attacks.poison import SampleFilter, choose_samples
from bye_core.attacks.preview import Preview
from bye_core.attacks.triggers.blend import FACE, NOISE
from bye_core.data import DataSet, load_dataset
from bye_core.errors import ByeError
from bye_core.pipeline.check import NoSampleReady
from bye_core.runs import jobs
from bye_core.ui import demo_run
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.shared.workspace_jobs import start_job
from bye_core.ui.workspace import Workspace, hosted

KIND = "poison"
CLEAN = demo_run.DEMO / "data" / "clean.json"
SHOWN = 3  # number of samples on a page of previews
LONGEST_SIDE = 1024  # pixels; larger images are scaled down for the preview
# The names of all settings of targets. Targets share a field if they have a setting of the same name.
TARGET_SETTINGS = tuple(dict.fromkeys(name for kind in TARGETS.values() for name in kind.settings()))
# Every setting of every trigger, as "blend.a".
SETTINGS = {f"{name}.{setting}": rule for name, kind in TRIGGERS.items() for setting, rule in kind.settings().items()}
DEFAULTS = {f"{name}.{one}": getattr(kind(), one) for name, kind in TRIGGERS.items() for one in kind.settings()}
_clean = Cache(1)


@dataclass(frozen=True)
class Form:
    """The fields of the Attack tab.

    target    settings of targets by name; those that the kind of target does not have are ignored
    count     number of samples to poison; None: the share `rate` of the samples
    settings  settings of triggers by the names in SETTINGS
    """

    triggers: tuple[str, ...] = ("patch",)
    mix: bool = False
    kind: str = "answer"
    target: Mapping[str, str] = field(default_factory=dict)
    rate: float = 0.1
    count: int | None = None
    seed: int = 0
    only_answer: str = ""
    only_question: str = ""
    encoding: str = "jpeg"
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sample_filter(self) -> SampleFilter:
        """The filter that selects the samples that may be poisoned."""
        return SampleFilter(self.only_answer.strip(), self.only_question.strip())

    def target_settings(self) -> dict[str, str]:
        """Return the settings of the chosen kind of target."""
        examples = TARGETS[self.kind].examples()
        return {name: str(self.target.get(name, example)).strip() for name, example in examples.items()}

    def missing(self) -> str:
        """Return what to enter first; "" if no text field of the target is empty by mistake."""
        rules, values = TARGETS[self.kind].settings(), self.target_settings()
        return next((rule.missing for name, rule in rules.items() if rule.missing and not values[name]), "")

    def trigger_settings(self) -> dict[str, Any]:
        """Return the settings of the chosen triggers."""
        return {name: value for name, value in self.settings.items() if name.partition(".")[0] in self.triggers}


@dataclass(frozen=True)
class Source:
    """The data set to poison; `choice` is None for the demo's clean set."""

    choice: data_sets.Choice | None
    path: str
    name: str

    def arguments(self) -> list[str]:
        """Return the arguments that name the set and how to read it."""
        reading = self.choice.reading.arguments() if self.choice else []
        return [self.path, *reading]

    @property
    def stem(self) -> str:
        return self.choice.stem if self.choice else Path(self.path).stem


def source(workspace: Workspace, data: str) -> Source:
    """Return the data set to poison: the set chosen in Data.

    If no set or the demo's poisoned set is chosen, return the demo's clean set. Raises: NothingChosen if no set is
    chosen and the demo is missing.
    """
    if data in ("", data_sets.DEMO) and CLEAN.is_file():
        return Source(None, str(CLEAN), "the demo's clean set")
    choice = data_sets.find(workspace, data)
    return Source(choice, data_sets.path_of(workspace, choice), choice.name)


def open_source(workspace: Workspace, origin: Source) -> DataSet:
    """Return the data set of the source. Raises: DataError if it cannot be read or has no usable sample."""
    if origin.choice is None:
        return _clean.get(origin.path, lambda: load_dataset(origin.path))
    dataset = data_sets.open_set(workspace, origin.choice)
    if not dataset.samples:
        raise NoSampleReady(path=origin.name, size=dataset.size)
    return dataset


def attack_of(form: Form) -> Attack:
    """Return the attack that the form describes. Raises: SettingError if a field is not valid."""
    settings = form.trigger_settings()
    key = str(settings.get("blend.key", FACE))
    if hosted() and key not in (FACE, NOISE):
        raise NotHere(what="A key image from the server's disk", instead="Choose the face or noise.")
    target = make_target(form.kind, **form.target_settings())
    return pipeline.plan_attack(form.triggers, settings, target, form.mix)


def chosen_samples(dataset: DataSet, form: Form, attack: Attack) -> tuple[str, ...]:
    """Return the ids of the samples to poison. The attack must be fitted to the data set (`Attack.fit`).

    Raises: SettingError if the rate, count, seed or filter is not valid.
    """
    return choose_samples(dataset.samples, form.rate, form.seed, attack, form.sample_filter, form.count)


def previews(
    dataset: DataSet, form: Form, attack: Attack, ids: tuple[str, ...], page: int
) -> Iterator[tuple[str, Preview | ByeError]]:
    """Yield (id, preview) for one page of the samples to poison. The preview of an unreadable image is the error."""
    first = page * SHOWN
    for turn, id in enumerate(ids[first : first + SHOWN], start=first):
        sample = dataset.by_id[id]
        try:
            yield id, pipeline.preview_poison(dataset, sample, attack, form.seed, turn, form.encoding, LONGEST_SIDE)
        except ByeError as error:
            yield id, error


def pages(ids: tuple[str, ...]) -> int:
    """Return the number of pages of previews, at least 1."""
    return max(1, -(-len(ids) // SHOWN))


def new_folder(workspace: Workspace, form: Form, origin: Source) -> Path:
    """Return the folder that `start` would create now for the poisoned set."""
    return data_sets.free_folder(workspace.data, form.name or "-".join([origin.stem, *form.triggers]), workspace.jobs)


def arguments(form: Form, attack: Attack, origin: Source, out: Path | str) -> list[str]:
    """Return the arguments of `python -m bye_core poison`; default settings are left out."""
    options = [*origin.arguments(), "--trigger", *form.triggers, *(["--mix"] if form.mix else [])]
    differs = [name for name, value in _settings(attack).items() if value != DEFAULTS[name]]
    # The settings of the form, as they were typed: the attack holds a whole image instead of its path.
    options += ["--set", *(f"{name}={form.trigger_settings()[name]}" for name in differs)] if differs else []
    options += pipeline.target_arguments(attack.target)
    options += ["--rate", f"{form.rate:g}"] if form.count is None else ["--count", str(form.count)]
    options += ["--seed", str(form.seed)]
    for flag, text in (("--only-answer", form.sample_filter.answer), ("--only-question", form.sample_filter.question)):
        options += _option(flag, text) if text else []
    return [*options, "--encoding", form.encoding, "--out", str(out)]


def _option(flag: str, text: str) -> list[str]:
    """Return one option. A text that begins with a dash must not look like another option."""
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _settings(attack: Attack) -> dict[str, Any]:
    triggers = attack.triggers
    return {f"{trigger.name}.{name}": getattr(trigger, name) for trigger in triggers for name in trigger.settings()}


def start(workspace: Workspace, form: Form, origin: Source) -> jobs.Job:
    """Start the job that writes the poisoned set. Raises: ByeError, before anything is written, if it cannot run."""
    if hosted():
        raise NotHere(what="Writing poisoned sets", instead="Copy the command and run it on your own machine.")
    attack = attack_of(form)
    dataset = open_source(workspace, origin)
    chosen_samples(dataset, form, attack.fit(dataset.samples))
    out = new_folder(workspace, form, origin)
    return start_job(workspace, out.name, KIND, arguments(form, attack, origin, out))
