"""Compares the speed and memory of a scan with a plain forward pass and with the authors' way, in one run.

Rounds are interleaved, and ratios are taken within a round: whatever else the machine does slows all ways alike.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bye_core.data import DataSet, load_dataset
from bye_core.data.llava_set import write_llava_set
from bye_core.errors import ByeError, SettingError
from bye_core.model_protocol import Images, VisionLanguageModel
from bye_core.pipeline.batches import missing_batches
from bye_core.pipeline.open_batches import AUTOMATIC, OpenedSamples, open_ahead, open_batches
from bye_core.records import Progress, Sample, Turn

QUESTION = "What colour is the object in the middle of this picture? Answer with a single word or phrase."
ANSWER = "A red square."
PLAIN, AUTHORS, SCAN, ANSWERS = "plain", "authors", "scan", "scan_answers"
TITLES = {
    PLAIN: "forward pass alone (sdpa, batches)",
    AUTHORS: "the authors' way (eager, one sample, all attentions)",
    SCAN: "scan",
    ANSWERS: "scan --answers",
}
AUTHORS_SAMPLES = 2  # samples of a batch that the slow way reads; its time is given per sample
DEVICE_SECONDS = 0.001  # that a model on a fast device takes for a sample, while the processor is free for images


@dataclass(frozen=True)
class SpeedSettings:
    """What to measure: a model folder with an adapter, or a named shape with random weights.

    batch   samples per forward pass
    rounds  batches that every way reads; the first one warms up and does not count
    side    pixels along the sides of the JPEG images
    loaders processes that decode and encode images ahead of the model; 0 for none, -1 for a number that suits the
            machine
    """

    model: str | None = None
    adapter: str | None = None
    shape: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    batch: int = 8
    rounds: int = 5
    side: int = 336
    loaders: int = AUTOMATIC


class NoModel(SettingError):
    problem = "`bench` needs one model: a folder or a shape."
    remedy = "Give either --model FOLDER or --shape NAME."


class BelowOne(SettingError):
    problem = "--{name} is {value}."
    remedy = "Set --{name} to 1 or more."


class NotMeasured(ByeError):
    problem = "A sample of the benchmark could not be read: {reason}"
    remedy = "Correct the model, or report this with the command."


def measure_speed(settings: SpeedSettings) -> Iterator[Progress]:
    """Measure all ways. The facts of the last step: the settings, one entry for each way, and the ratios.

    An entry has `samples_per_second`, `peak_mib` (above the memory before; None if it cannot be measured) and the
    `seconds` of each round. A whole scan has `scan_per_second`, and `waiting_share`, the share of its time in which the
    model waited for images; `images_per_second` is the rate of the same samples without a model, and
    `device_per_second` that with a pause of DEVICE_SECONDS a sample in place of the model.
    Raises: NoModel unless there is exactly one of model and shape; SettingError if a number is below 1.
    """
    loaded = _load(settings)
    total = settings.rounds + 3
    with tempfile.TemporaryDirectory() as folder:
        yield Progress("speed", 0, total)
        dataset = _made_set(Path(folder) / "data", settings)
        batches = list(_opened(dataset, loaded, settings))
        ways = _ways(loaded)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number, (samples, images) in enumerate(batches):
            for name in list(ways)[:: 1 if number % 2 else -1]:
                count = AUTHORS_SAMPLES if name == AUTHORS else len(samples)
                start = time.perf_counter()
                ways[name](samples[:count], images[:count])
                seconds = (time.perf_counter() - start) / min(count, len(samples))
                if number:
                    times[name].append(seconds)
            yield Progress("speed", number + 1, total)
        speeds: dict[str, float] = {}
        for name, model in _models(loaded).items():
            speeds[f"{name}_per_second"], waiting = _throughput(dataset, loaded, settings, model)
            if name == "scan":
                speeds["waiting_share"] = waiting
        yield Progress("speed", total - 1, total)
        peaks = _peaks(ways, *batches[0], loaded)
    yield Progress("speed", total, total, "done", _facts(settings, loaded, times, peaks, speeds))


def table(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table for people."""
    yield f"{'':52} samples/s   x forward pass   peak MiB"
    for name, way in facts["ways"].items():
        peak = "not known" if way["peak_mib"] is None else f"{way['peak_mib']:,.0f}"
        yield f"{TITLES[name]:52} {way['samples_per_second']:>9.2f} {way['ratio']:>16.3f} {peak:>10}"
    yield f"a whole scan: {facts['scan_per_second']:.2f} samples/s; waiting for images {facts['waiting_share']:.1%}"
    yield f"images and prompts alone, without a model: {facts['images_per_second']:.2f} samples/s"
    share = facts["device_per_second"] / facts["images_per_second"]
    yield f"with 1 ms a sample in place of the model: {facts['device_per_second']:.2f} samples/s ({share:.2f} of these)"


def _load(settings: SpeedSettings) -> VisionLanguageModel:
    if (settings.model is None) == (settings.shape is None):
        raise NoModel()
    for name in ("batch", "rounds", "side"):
        if getattr(settings, name) < 1:
            raise BelowOne(name=name, value=getattr(settings, name))
    if settings.shape is not None:
        from bye_core.demo.random_model import random_model

        return random_model(settings.shape, settings.device, settings.dtype)
    from bye_core.models.loading import load_model

    return load_model(str(settings.model), settings.adapter, settings.device, settings.dtype)


def _made_set(folder: Path, settings: SpeedSettings) -> DataSet:
    """Write a data set of JPEG images and return it; one batch for each round and one to warm up."""
    chance = np.random.default_rng(0)
    small = max(1, settings.side // 8)

    def items() -> Iterator[tuple[Sample, list[Image.Image]]]:
        for number in range(settings.batch * (settings.rounds + 1)):
            pixels = chance.integers(0, 256, (small, small, 3), dtype=np.uint8)
            turns = (Turn("user", (0, QUESTION)), Turn("assistant", (ANSWER,)))
            sample = Sample(f"s{number}", number, turns, ("image",))
            yield sample, [Image.fromarray(pixels).resize((settings.side, settings.side))]

    for _ in write_llava_set(items(), folder):
        continue
    return load_dataset(folder / "data.json")


def _opened(
    dataset: DataSet, loaded: VisionLanguageModel, settings: SpeedSettings
) -> Iterator[tuple[list[Sample], list[Images]]]:
    for opened in open_batches(dataset, _batches(dataset, settings)):
        yield list(opened.samples), _images_of(opened)


def _images_of(opened: OpenedSamples) -> list[Images]:
    return [opened.images[sample.id] for sample in opened.samples]


def _batches(dataset: DataSet, settings: SpeedSettings) -> Iterator[Any]:
    return missing_batches(dataset.samples, settings.batch, (), dataset.image_sizes, lambda sample, sizes: 0)


Way = Callable[[Sequence[Sample], Sequence[Images]], Any]


def _ways(loaded: VisionLanguageModel) -> dict[str, Way]:
    from bye_core.attention import read_attention, read_with_answers
    from bye_core.attention.baselines import authors_way, plain_pass

    return {
        PLAIN: partial(plain_pass, loaded),
        AUTHORS: partial(authors_way, loaded),
        SCAN: partial(_checked, partial(read_attention, loaded)),
        ANSWERS: partial(_checked, partial(read_with_answers, loaded)),
    }


def _checked(read: Way, samples: Sequence[Sample], images: Sequence[Images]) -> None:
    for result in read(samples, images):
        reason = result if isinstance(result, ByeError) else getattr(result, "unread", None)
        if reason is not None:
            raise NotMeasured(reason=reason.problem)


def _models(loaded: VisionLanguageModel) -> dict[str, Callable[[OpenedSamples], Any]]:
    """Return what reads the samples of a scan: the model, nothing, and a pause as long as a fast device takes."""
    from bye_core.attention import read_attention

    return {
        "scan": lambda opened: read_attention(loaded, opened.samples, _images_of(opened), opened.encoded),
        "images": lambda opened: None,
        "device": lambda opened: time.sleep(DEVICE_SECONDS * len(opened.samples)),
    }


def _throughput(
    dataset: DataSet, loaded: VisionLanguageModel, settings: SpeedSettings, model: Callable[[OpenedSamples], Any]
) -> tuple[float, float]:
    """Read the whole set as a scan does, without saving, by one of `_models`.

    Returns (samples per second, share of the time spent waiting for images), both after the first group of samples.
    """
    waiting, count, begin = 0.0, 0, 0.0
    with ThreadPoolExecutor(1) as reader:
        items = open_ahead(reader, dataset, _batches(dataset, settings), loaded, workers=settings.loaders)
        while True:
            start = time.perf_counter()
            opened = next(items, None)
            now = time.perf_counter()
            if opened is None:
                return count / (now - begin), waiting / (now - begin)
            if begin:
                waiting, count = waiting + now - start, count + len(opened.samples)
            model(opened)
            begin = begin or time.perf_counter()


def _peaks(
    ways: dict[str, Way], samples: list[Sample], images: list[Images], loaded: VisionLanguageModel
) -> dict[str, float | None]:
    """Return the peak memory of one batch in MiB, of one sample for the authors' way."""
    from bye_core.models.peak_memory import peak_memory

    counts = {name: 1 if name == AUTHORS else len(samples) for name in ways}
    return {
        name: peak_memory(partial(way, samples[: counts[name]], images[: counts[name]]), loaded.device)
        for name, way in ways.items()
    }


def _facts(
    settings: SpeedSettings,
    loaded: VisionLanguageModel,
    times: dict[str, list[float]],
    peaks: dict[str, float | None],
    speeds: dict[str, float],
) -> dict[str, Any]:
    """Return the results; `ratio` is the median, over the rounds, of a way's time divided by that of the plain pass."""
    ways = {
        name: {
            "samples_per_second": 1 / statistics.median(seconds),
            "ratio": statistics.median(a / b for a, b in zip(seconds, times[PLAIN], strict=True)),
            "peak_mib": peaks[name],
            "seconds": seconds,
        }
        for name, seconds in times.items()
    }
    machine = {"device": str(loaded.device), "dtype": str(loaded.dtype).removeprefix("torch.")}
    return {
        "model": loaded.identity["name"],
        "adapter": loaded.identity.get("adapter_digest") is not None,
        **machine,
        "batch": settings.batch,
        "rounds": settings.rounds,
        "side": settings.side,
        "ways": ways,
        "loaders": settings.loaders,
        **speeds,
    }
