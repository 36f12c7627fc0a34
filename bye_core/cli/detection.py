"""The subcommands that find poisoned samples: scan, detect, decide, score."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bye_core import pipeline, runs
from bye_core.cli.options import (
    LOADERS,
    MACHINE,
    MOVED_BEFORE,
    MOVED_DATA,
    Command,
    add_device_map,
    add_format,
    add_method,
    add_model,
    add_pixels,
    add_run,
    add_workers,
    device_of,
    name_and_value,
    pixel_limits,
    reading_options,
    worker_settings,
)
from bye_core.cli.output import DONE, Report, fault_line, verdict_code
from bye_core.detect import DEFAULT, DEFAULT_RULE, DETECTORS, ByeSettings, default_method
from bye_core.detect.bye import OPTIONS
from bye_core.detect.limitations import FINETUNE_FIRST
from bye_core.detect.result import detection_object
from bye_core.errors import ByeError, SettingError
from bye_core.records import Detection
from bye_core.text import clip, count, suspects_sentence, verdict_words


class NothingToConfirm(SettingError):
    problem = "A file of entropies has no model that --confirm could ask."
    remedy = "Give a scanned run with --run, or leave out --confirm."


def decision(text: str) -> tuple[str, str]:
    """Split "ID=CHOICE"; the id may contain "=". Raises: ArgumentTypeError if there is no id."""
    id, _, choice = text.rpartition("=")
    if not id:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=accept, ID=reject or ID=none")
    return id, choice


def setting(text: str) -> tuple[str, Any]:
    """Split "NAME=VALUE"; read the value as JSON if possible. Raises: ArgumentTypeError if name or value is missing."""
    name, value = name_and_value(text, "heads=4")
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, for example heads=4")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def layer_list(text: str) -> tuple[int, ...]:
    """Read "14,15,17". Raises: ArgumentTypeError if a part is not a number."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of layers, for example 14,15,17") from None


def add_scan(parser: ArgumentParser) -> None:
    add_model(parser)
    add_format(parser)
    add_run(parser)
    parser.add_argument(
        "--batch", type=int, default=0, help="samples per forward pass (default: chosen for the machine)"
    )
    parser.add_argument(
        "--answers", action="store_true",
        help="also record how likely each answer is before and after fine-tuning, and the attention before it, in "
        "one more pass; `detect` becomes more reliable, and --method loss needs it",
    )  # fmt: skip
    parser.add_argument("--loaders", type=int, default=-1, metavar="N", help=f"{LOADERS} (default: -1)")
    parser.add_argument(
        "--before", metavar="MODEL",
        help="for a fully fine-tuned model: the model with which the fine-tuning began; includes --answers",
    )  # fmt: skip
    add_device_map(parser)
    add_workers(parser)
    add_pixels(parser, "those of the run or of the adapter's training, else those of the model's folder")
    add_tuned(parser)
    parser.add_argument(
        "--detect", action="store_true",
        help=f"then find the poisoned samples ({DEFAULT}), unless a detection of all samples exists",
    )  # fmt: skip


def add_tuned(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--tuned-on-this-data", action="store_true",
        help="state that the model was fine-tuned on this data set; the run stores this statement",
    )  # fmt: skip


def _warn_of_base_model(args: Namespace) -> None:
    """Say before a scan without adapter that it will test nothing, unless the user or the run states otherwise."""
    stated = args.tuned_on_this_data or (runs.is_run(args.run) and runs.Run.open(args.run).settings.tuned_on_this_data)
    if not args.adapter and not stated:
        sys.stderr.write(f'note  No adapter is given, so `detect` will answer "not tested". {FINETUNE_FIRST}\n')


def run_scan(args: Namespace, report: Report) -> int:
    _warn_of_base_model(args)
    device, pixels = device_of(args), pixel_limits(args)
    how = (args.batch, device, args.dtype, args.answers, args.tuned_on_this_data, pixels, args.loaders)
    settings = pipeline.ScanSettings(*how, workers=worker_settings(args))
    steps = pipeline.scan(args.model, args.data, args.run, args.adapter, settings, reading_options(args), args.before)
    last = report.follow(steps)
    failed = pipeline.failed(args.run)
    for fault in failed:
        sys.stderr.write(f"not scanned  {fault_line(fault)}\n")
    facts = {"run": str(args.run), "samples": last.total, "scanned": last.facts["scored"], "failed": len(failed)}
    if args.detect and last.facts["scored"]:
        try:
            detection = pipeline.detect_once(args.run)
            facts |= {"verdict": detection.verdict, "flagged": len(detection.flagged_ids)}
        except ByeError as error:  # the scan itself succeeded
            sys.stderr.write(f"no detection  {error}\n")
    report.result(facts)
    return DONE


def add_detect(parser: ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--run", type=Path, help="the folder of a scanned run")
    group.add_argument(
        "--entropy", type=Path, help="a file of layer entropies (JSON lines, as BYE writes them) instead of a run"
    )
    add_tuned(parser)
    add_method(parser, DEFAULT_RULE)
    add_detect_settings(parser)
    parser.add_argument(
        "--confirm", type=whole_number, default=0, metavar="N",
        help="then ask the model, before and after fine-tuning, about up to N samples of each finding and of the "
        "suspects, with the suspected spot covered (default: 0)",
    )  # fmt: skip
    parser.add_argument("--model", help="current path of the scanned model for --confirm, if you moved it")
    parser.add_argument("--adapter", help="current path of the scanned adapter for --confirm, if you moved it")
    parser.add_argument("--before", help=f"{MOVED_BEFORE}, for --confirm")
    parser.add_argument("--data", help=MOVED_DATA)
    parser.add_argument("--device", default="auto", help=MACHINE["device"])


def whole_number(text: str) -> int:
    """Read a number of samples. Raises: ArgumentTypeError if it is no whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def add_detect_settings(parser: ArgumentParser) -> None:
    """Add the options of BYE's selection rule, and --setting for the settings of any method."""
    bye = {field.name: field.metadata for field in dataclasses.fields(ByeSettings)}
    for name in ("bsi", "tau", "cluster", "threshold"):
        choices = bye[name]["bounds"].choices
        kind = {"choices": choices} if choices else {"type": float}
        parser.add_argument(f"--{name}", help=bye[name]["help"], **kind)
    parser.add_argument("--layers", type=layer_list, help=f"{bye['layers']['help']}, for example 14,15,17")
    parser.add_argument(
        "--no-select",
        dest="select",
        action="store_false",
        default=None,
        help="average all layers instead of the sensitive layers (ablation in the paper)",
    )
    settings = "; ".join(
        f"{name}: {', '.join(field.name for field in dataclasses.fields(detector.settings))}"
        for name, detector in DETECTORS.items()
    )
    parser.add_argument(
        "--setting", type=setting, nargs="+", metavar="NAME=VALUE", help=f"settings of the method. {settings}"
    )


def run_detect(args: Namespace, report: Report) -> int:
    rule = {name: value for name in OPTIONS if (value := getattr(args, name)) is not None}
    method = args.method or default_method(own_options=bool(rule), entropy_file=bool(args.entropy))
    settings = rule | dict(args.setting or [])
    if args.entropy:
        if args.confirm:
            raise NothingToConfirm()
        detection = pipeline.detect_entropies(args.entropy, method, **settings)
    else:
        detection = pipeline.detect_run(args.run, method, args.tuned_on_this_data, **settings)
        if args.confirm:
            moved = (args.model, args.adapter, args.data, args.device, args.before)
            report.follow(pipeline.confirm_detection(args.run, args.confirm, *moved))
            detection = pipeline.last_detection(runs.Run.open(args.run))
    report.result(detection_object(detection), {}, detection_lines(detection))
    return verdict_code(detection.verdict, args.fail_on_poison)


def detection_lines(detection: Detection) -> Iterator[str]:
    """Yield one line per layer with a fitted mixture, then reasons, findings and suspects, then the verdict."""
    if any(report.mixture for report in detection.layers):
        yield "layer    low mode         high mode        share low    BSI     KL"
    for report in detection.layers:
        if report.mixture is None:
            yield from [f"{report.layer:>5}  {report.note}"] if report.note else []
            continue
        mixture = report.mixture
        modes = "  ".join(f"{m:6.3f} ± {s:5.3f}" for m, s in zip(mixture.means, mixture.stds, strict=True))
        mark = "  sensitive" if report.sensitive else ""
        yield f"{report.layer:>5}  {modes}  {mixture.weights[0]:9.3f}  {report.bsi:6.2f}  {report.kl:6.2f}{mark}"
    yield from detection.explanation
    for finding in detection.findings:
        yield f"finding: {clip(finding.name, 120)}: {count(len(finding.ids), 'sample')}"
    if detection.suspects:
        yield suspects_sentence(detection.suspects)
    words = verdict_words(detection.verdict, int(detection.flagged.sum()), len(detection.ids))
    yield words[0].lower() + words[1:]


def add_decide(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument(
        "--reject-flagged", action="store_true", help="reject every flagged sample that has no decision yet"
    )
    parser.add_argument(
        "--set", type=decision, nargs="+", metavar="ID=CHOICE", help="ID=accept, ID=reject or ID=none (no decision)"
    )
    parser.add_argument("--undo", action="store_true", help="withdraw the last batch of decisions")
    parser.add_argument(
        "--reviewer",
        default=os.environ.get("USER", ""),
        help="name of the reviewer to record (default: your user name)",
    )
    parser.add_argument("--note", default="", help="text to record with the decisions")


def run_decide(args: Namespace, report: Report) -> int:
    if args.undo:
        report.result({"withdrawn": pipeline.undo(args.run)})
        return DONE
    choices = dict(args.set or [])
    recorded = pipeline.decide(args.run, choices, args.reject_flagged, args.reviewer, args.note)
    report.result({"recorded": recorded})
    return DONE


def add_score(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--truth", type=Path, required=True, help="the truth.json that `poison` wrote")


def run_score(args: Namespace, report: Report) -> int:
    report.result(pipeline.score_run(args.run, args.truth))
    return DONE


SCAN = Command(
    "scan", "record the attention of the first answer token for every sample; resumes when run again",
    add_scan, run_scan,
    after_stop="Scanned samples are kept. Run the same command to resume.",
)  # fmt: skip
DETECT = Command("detect", "find the poisoned samples of a scanned run", add_detect, run_detect, long=False)
DECIDE = Command(
    "decide",
    "accept samples (`export` keeps them) or reject them (`export` leaves them out)",
    add_decide,
    run_decide,
    long=False,
)
SCORE = Command(
    "score",
    "compare the last detection with the known poisoned samples: precision, recall, F1 and AUC",
    add_score,
    run_score,
    long=False,
)
