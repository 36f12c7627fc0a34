"""Options that several subcommands share, and their conversion to the settings of the stages."""

from __future__ import annotations

import argparse
import dataclasses
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from pathlib import Path

from bye_core.cli.output import Report
from bye_core.data import FORMATS
from bye_core.data.reading import ReadingOptions
from bye_core.detect import DEFAULT, DETECTORS
from bye_core.errors import SettingError
from bye_core.evaluate.measures import METRICS
from bye_core.model_protocol import ALL_GPUS, PixelLimits
from bye_core.train.settings import PRESETS, FinetuneSettings
from bye_core.train.wording import PRESET, SETTINGS
from bye_core.workers.settings import BATCH_SECONDS, WorkerSettings

CAPTION_QUESTION = "the question for records that have a caption and no question"
MOVED_DATA = "current path of the data set, if you moved it after the scan"
MOVED_BEFORE = "current path of the model before full fine-tuning, if you moved it after the scan"
MACHINE = {
    "device": "auto, cpu, cuda, cuda:1 or mps (default: the fastest available)",
    "dtype": "auto, float32, bfloat16 or float16 (default: auto)",
}
LOADERS = (
    "processes that decode and encode images ahead of the model; 0 for none, -1 for a number that suits the machine"
)
START_AGAIN = "No unfinished work is kept. Run the same command to start again."
RESUMES = "Finished work is kept. Run the same command to resume."


@dataclass(frozen=True)
class Command:
    """One subcommand.

    add_options  adds its options to a parser
    run          does the work and returns the exit code
    long         whether it takes long, and therefore has --progress
    after_stop   message for the user after a stop
    """

    name: str
    help: str
    add_options: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Report], int]
    long: bool = True
    after_stop: str = START_AGAIN


def name_and_value(text: str, example: str = "a=0.3 or blend.a=0.3") -> tuple[str, str]:
    """Split "NAME=VALUE"; the value may be empty. Raises: ArgumentTypeError if there is no name or no "="."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, for example {example}")
    return name, value


def column(text: str) -> tuple[str, str]:
    """Split "NAME=COLUMN" into (the format's name of a column, the name of that column in the data set)."""
    name, value = name_and_value(text, example := "question=my_question")
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, for example {example}")
    return name, value


def add_model(parser: ArgumentParser, adapter: bool = True) -> None:
    """Add the options for model, data and machine. `adapter` adds --adapter (for subcommands that do not train)."""
    parser.add_argument("--model", required=True, help="a folder, or a model id on the Hugging Face Hub")
    if adapter:
        parser.add_argument("--adapter", help="a PEFT adapter of the model: a folder or a Hub id")
    for name, help in MACHINE.items():
        parser.add_argument(f"--{name}", default="auto", help=help)
    parser.add_argument("--data", required=True, help="the data set: a file, a folder or a Hub id")


def add_device_map(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--device-map", choices=["auto"],
        help="auto: spread the layers over all GPUs of this machine, for a model that does not fit one GPU",
    )  # fmt: skip


class DeviceAndMap(SettingError):
    problem = "--device {device} names one device, and --device-map uses all GPUs."
    remedy = "Give only one of the two options."


def device_of(args: Namespace) -> str:
    """Return the device of the model, from --device and --device-map. Raises: DeviceAndMap."""
    if args.device_map is None:
        return str(args.device)
    if args.device not in ("auto", "cuda"):
        raise DeviceAndMap(device=args.device)
    return ALL_GPUS


def add_pixels(parser: ArgumentParser, default: str) -> None:
    """Add --min-pixels and --max-pixels. `default`: where the limits come from if the options are not given."""
    for which, name in (("least", "min"), ("most", "max")):
        parser.add_argument(
            f"--{name}-pixels", type=int, default=0, metavar="N",
            help=f"{which} pixels of a resized image, for models with such a setting (default: {default})",
        )  # fmt: skip


def pixel_limits(args: Namespace) -> PixelLimits:
    return PixelLimits(args.min_pixels, args.max_pixels)


def add_workers(parser: ArgumentParser, work: str = "the model runs") -> None:
    """Add the options for workers. `work`: what they do."""
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N",
        help=f"processes of this machine in which {work}, one for each GPU or several on the CPU; with --ray, those of "
        "the cluster (default: this process)",
    )  # fmt: skip
    parser.add_argument(
        "--ray", default="", metavar="ADDRESS",
        help="join this running Ray cluster, `auto` for the one on this machine (default workers: one for each GPU, "
        "without GPUs one for each machine)",
    )  # fmt: skip
    parser.add_argument(
        "--worker-seconds", type=float, default=BATCH_SECONDS, metavar="S",
        help=f"replace a worker that has not finished a batch after this time (default: {BATCH_SECONDS:g})",
    )  # fmt: skip


def worker_settings(args: Namespace) -> WorkerSettings:
    return WorkerSettings(args.workers, args.ray, args.worker_seconds)


def add_run(parser: ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="the folder of the run")


def add_out(parser: ArgumentParser, help: str) -> None:
    parser.add_argument("--out", type=Path, required=True, help=help)


def add_format(parser: ArgumentParser, question: bool = True) -> None:
    """Add the options that say how to read the data set. `question`: whether to add --question, too."""
    parser.add_argument("--format", choices=list(FORMATS), help="format of the data set (default: detected)")
    parser.add_argument(
        "--columns", type=column, nargs="+", metavar="NAME=YOURS",
        help="names of your columns, if they differ from those of the format: question=my_question",
    )  # fmt: skip
    parser.add_argument(
        "--split", metavar="NAME", help="the split to read, or the entry of a dataset_info.json (default: train)"
    )
    if question:
        parser.add_argument("--question", metavar="TEXT", help=CAPTION_QUESTION)
    parser.add_argument(
        "--strict-ids", action="store_true", help="refuse records that share an id, instead of giving them unique names"
    )


def reading_options(args: Namespace) -> ReadingOptions:
    """Return how to read the data set, from the options that `add_format` adds."""
    return ReadingOptions(args.format, dict(args.columns or []), args.split, args.question, args.strict_ids)


def add_moved_model(parser: ArgumentParser) -> None:
    """Add the options for the current paths of the scanned model and adapter, and for the device."""
    parser.add_argument("--model", help="current path of the scanned model, if you moved it")
    parser.add_argument("--adapter", help="current path of the scanned adapter, if you moved it")
    parser.add_argument("--device", default="auto", help=MACHINE["device"])


def add_finetune_settings(parser: ArgumentParser, torchrun: bool = True) -> None:
    """Add --preset, and one option per field of FinetuneSettings to override the preset; `add_model` adds the options
    of the machine. The parsed namespace has only the options that were given. `torchrun`: whether several processes can
    run the subcommand together."""
    parser.add_argument("--preset", choices=list(PRESETS), default=next(iter(PRESETS)), help=PRESET)
    for field in dataclasses.fields(FinetuneSettings):
        if field.name in MACHINE or (field.name == "fsdp" and not torchrun):
            continue
        flag = "--" + field.name.replace("_", "-")
        help = f"{SETTINGS[field.name]} (default: {field.default})"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help)
        else:
            parser.add_argument(flag, type=type(field.default), default=argparse.SUPPRESS, help=help)


def finetune_settings(args: Namespace) -> FinetuneSettings:
    """Return the settings of the preset, overridden by the options that were given.

    A micro-batch that was not given is lowered until it divides the batch, as in the app.
    """
    preset, names = PRESETS[args.preset], [field.name for field in dataclasses.fields(FinetuneSettings)]
    options = {name: getattr(args, name) for name in names if name in args}
    if options.get("batch", 0) > 0:
        options.setdefault("micro_batch", gcd(options["batch"], preset.micro_batch))
    return dataclasses.replace(preset, **options)


def add_metric(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--metric", choices=METRICS, default="auto",
        help="how answers are compared with the reference: exact match or CIDEr; auto uses CIDEr for captions",
    )  # fmt: skip


def add_method(parser: ArgumentParser, default: str = DEFAULT) -> None:
    """Add --method and --fail-on-poison. `default`: the method that runs if --method is not given."""
    methods = "; ".join(f"{name}: {detector.title}" for name, detector in DETECTORS.items())
    parser.add_argument("--method", choices=list(DETECTORS), help=f"the detector. {methods} (default: {default})")
    codes = "exit with code 3 if poisoning is found, and with code 4 if the data set could not be tested"
    parser.add_argument("--fail-on-poison", action="store_true", help=codes)
