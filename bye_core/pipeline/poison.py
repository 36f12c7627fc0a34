"""Poisons data sets, previews attacks, and reads attacks from the command line and from truth files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bye_core.attacks import Attack, Target, attack_from_record, make_attack
from bye_core.attacks.measure import ImageChange, mean_changes, measure_change
from bye_core.attacks.poison import ALL_SAMPLES, SampleFilter, choose_samples, poison_sample
from bye_core.attacks.preview import Preview, preview
from bye_core.attacks.targets import make_target, target_class
from bye_core.attacks.triggers.blend import FACE, NOISE, OWN_IMAGE, key_of_image
from bye_core.data import DataSet
from bye_core.data.images import MAX_BYTES, decode
from bye_core.data.llava_set import encode_and_decode, write_llava_set
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.errors import DataError, SettingError
from bye_core.pipeline.check import readable, ready
from bye_core.records import Progress, Sample

TRUTH = "truth.json"


KEY = "key"


class NoKeyPicture(SettingError):
    problem = "The key image {path} cannot be read: {why}."
    remedy = "Give key=face, key=noise, or key=PATH, where PATH is an image file."


class NoTargetFile(SettingError):
    problem = "The text file {path} cannot be read: {why}."
    remedy = "Give the path of a text file in UTF-8."


class NoAttackRecorded(DataError):
    problem = "{path} does not describe how its data set was poisoned: {reason}."
    remedy = "Give a truth.json that this version's `poison` wrote, or set --trigger and --target instead."


def plan_attack(
    triggers: Iterable[str],
    settings: Mapping[str, Any] | None = None,
    target: Target | None = None,
    mix: bool = False,
) -> Attack:
    """Return the attack with the named triggers and their `settings`, such as {"a": 0.3} or {"blend.a": 0.3}.

    The value of a setting `key` may be the path of an image. Raises: a SettingError if a trigger or setting is not
    valid; NoKeyPicture if the image cannot be read.
    """
    read = {name: _key(value) if name.rpartition(".")[2] == KEY else value for name, value in (settings or {}).items()}
    return make_attack(triggers, read, target, mix)


def _key(value: Any) -> str:
    """Return the key as text. Encodes an image file in that text, so the attack can be repeated without the file."""
    text = str(value)
    if text in (FACE, NOISE) or text.startswith(OWN_IMAGE):
        return text
    try:
        with open(text, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        return key_of_image(decode(content, text))
    except (OSError, ValueError) as error:
        raise NoKeyPicture(path=text, why=getattr(error, "strerror", None) or error) from error
    except DataError as error:
        raise NoKeyPicture(path=text, why=error.problem) from error


def attack_arguments(attack: Attack) -> list[str]:
    """Return the command-line arguments that describe `attack`, in the form that `poison` and `evaluate` accept.

    Always includes size and target, so that a printed command shows them; other settings only if they differ from
    the defaults.
    """
    names = [trigger.name for trigger in attack.triggers]
    size, settings = [], []
    for trigger in attack.triggers:
        usual = type(trigger)()
        for setting in trigger.settings():
            value = getattr(trigger, setting)
            if setting == "size" and len(names) == 1:
                size = ["--size", str(value)]
            elif value != getattr(usual, setting):
                settings.append(f"{trigger.name}.{setting}={value}")
    given = ["--trigger", *names, *(["--mix"] if attack.mix else []), *size]
    return [*given, *(["--set", *settings] if settings else []), *target_arguments(attack.target)]


def target_arguments(target: Target) -> list[str]:
    """Return the command-line arguments that describe `target`. What it took from a data set (`fit`) is not in them."""
    values, further = target.option_values(), target.further_settings()
    if target.optional and target == make_target(target.kind, **further):
        values = []
    # A text that begins with a dash would be read as another option if it were an argument of its own.
    joined = len(values) == 1 and values[0].startswith("-")
    given = [f"{target.option}={values[0]}"] if joined else [target.option, *values]
    return [*given, *(["--target-set", *(f"{name}={value}" for name, value in further.items())] if further else [])]


def plan_target(kind: str, values: Sequence[str], further: Mapping[str, str] | None = None) -> Target:
    """Return the target of this kind. `values` are the values of its option, and `further` its other settings by name.

    A value may be the path of a text file if its setting says so (`TargetSetting.file`). An option whose values are
    optional uses the defaults without values.
    Raises: a SettingError if a value is not valid; NoTargetFile if the file cannot be read.
    """
    made = target_class(kind)
    named = {**dict(zip(made.arguments, values, strict=False)), **(further or {})}
    files = {name for name, rule in made.settings().items() if rule.file}
    return make_target(kind, **{name: _lines(text) if name in files else text for name, text in named.items()})


def _lines(text: str) -> str:
    """Return a text of several lines unchanged, and the content of the file that another text names."""
    if "\n" in text:
        return text
    try:
        return Path(text).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise NoTargetFile(path=text, why=getattr(error, "strerror", None) or error) from error


def read_attack(truth: Path) -> tuple[Attack, int]:
    """Return (attack, seed) from a truth file, to plant the same triggers in other data.

    Raises: NoAttackRecorded if the file does not describe an attack.
    """
    try:
        kept = json.loads(truth.read_text(encoding="utf-8"))
        return attack_from_record(kept["attack"]), int(kept["seed"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SettingError) as error:
        raise NoAttackRecorded(path=truth, reason=error) from error


def preview_poison(
    dataset: DataSet,
    sample: Sample,
    attack: Attack,
    seed: int = 0,
    turn: int = 0,
    encoding: str = "jpeg",
    longest: int | None = None,
) -> Preview:
    """Return the sample and its images as `poison` would write them, as the `turn`-th poisoned sample.

    First scales images down to at most `longest` pixels on the longer side. Raises: a DataError if an image does
    not open.
    """
    images = dataset.images(sample)
    if longest:
        for image in images:
            image.thumbnail((longest, longest))
    return preview(sample, images, attack, seed, turn, lambda image: encode_and_decode(image, encoding))


def poison(
    data: str | Path,
    out: Path,
    attack: Attack,
    rate: float = 0.1,
    seed: int = 0,
    only: SampleFilter = ALL_SAMPLES,
    encoding: str = "jpeg",
    reading: ReadingOptions = AUTOMATIC,
    count: int | None = None,
) -> Iterator[Progress]:
    """Write a copy of `data` to `out` in LLaVA format, with some of its samples poisoned, and truth.json.

    Poisons the share `rate` of the samples, or exactly `count`. Only truth.json lists the poisoned samples, their
    triggers and targets; it is sufficient to repeat the attack. Poisoned and clean images get the same encoding.
    Records without an image are copied and never poisoned; the fact `text_only` counts them. The facts report how much
    the triggers change the images. Raises: a SettingError if the attack cannot be applied to `data`.
    """
    dataset = ready(data, reading)
    samples = readable(dataset)
    attack = attack.fit(samples)
    turns = {id: turn for turn, id in enumerate(choose_samples(samples, rate, seed, attack, only, count))}
    written = sorted((*samples, *dataset.text_only), key=lambda sample: sample.index)
    marked: dict[str, Any] = {}
    changes: list[ImageChange] = []

    def items() -> Iterator[tuple[Sample, list[Any]]]:
        for sample in written:
            images = dataset.images(sample)
            if sample.id in turns:
                triggers, target = attack.triggers_of(turns[sample.id]), attack.target_of(turns[sample.id])
                poisoned, triggered, boxes = poison_sample(sample, images, triggers, target, seed)
                if any(trigger.changes_images() for trigger in triggers):
                    changes.append(
                        measure_change(images[0], triggered[0], lambda image: encode_and_decode(image, encoding))
                    )
                names = [trigger.name for trigger in triggers]
                marked[sample.id] = {"triggers": names, "boxes": boxes, "target": target.kind}
                sample, images = poisoned, triggered
            yield sample, images

    planned = {"rate": rate} if count is None else {"rate": len(turns) / len(samples), "count": count}
    truth = {"poisoned": list(turns), "attack": attack.record(), **planned, "seed": seed, "only": asdict(only)}
    truth |= {"encoding": encoding, "samples": marked}
    for done, _ in enumerate(write_llava_set(items(), out, encoding, {TRUTH: truth}), start=1):
        facts: dict[str, Any] = {"poisoned": len(turns), "unreadable": dataset.size - len(written)}
        facts |= {"text_only": len(dataset.text_only)} if dataset.text_only else {}
        facts |= mean_changes(changes) if done == len(written) else {}
        yield Progress("poison", done, len(written), facts=facts)
