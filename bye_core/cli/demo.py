"""The subcommands that show and measure the method on generated data: demo, bench, bench-detect."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bye_core.attacks import TARGETS
from bye_core.bench.matrix import ATTACKS, MIXES, QUICK, Matrix
from bye_core.bench.results import lines
from bye_core.bench.run import bench
from bye_core.bench.seeds import SEEDS
from bye_core.bench.speed import SpeedSettings, measure_speed, table
from bye_core.cli.attack_options import add_trigger_settings, trigger_settings
from bye_core.cli.options import LOADERS, MACHINE, RESUMES, Command
from bye_core.cli.output import DONE, FAILED, Report
from bye_core.demo import tour
from bye_core.demo.recipe import FAMILIES, SHAPES
from bye_core.records import Progress

# Options that set a field of Matrix: those with several values, and those with one.
LISTS = {
    "attacks": (
        str,
        f"attacks to test: triggers, joined by + to plant several in a sample, or clean (default: {' '.join(ATTACKS)})",
    ),
    "rates": (float, "shares of poisoned samples (default: 0.1)"),
    "targets": (str, f"the attacker's targets, each KIND or KIND=VALUE; kinds: {', '.join(TARGETS)} (default: answer)"),
    "counts": (int, "numbers of poisoned samples, instead of the rates"),
    "mixes": (str, f"kinds of question in the data sets: {', '.join(MIXES)} (default: mixed)"),
    "samples": (int, "sizes of the data sets (default: 600)"),
    "families": (
        str,
        f"kinds of base models: {', '.join(FAMILIES)}; all but the first are trained before their first cell, for "
        "about 5 minutes (default: llava, the model of --model)",
    ),
}
NUMBERS = {
    "repeats": (int, "number of seeds (default: 1)"),
    "epochs": (float, "epochs of each fine-tuning (default: 5)"),
    "test": (int, "number of held-out questions for CP and ASR (default: 100)"),
}


def add_demo(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="working folder (default: a new folder in BYE_HOME)")
    parser.add_argument(
        "--make", type=Path, metavar="DIR", help="do not run the demo, but generate its model, data and run in DIR"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed for --make (default: 0)")


def run_demo(args: Namespace, report: Report) -> int:
    if args.make:
        from bye_core.demo.make import make_demo

        report.follow(make_demo(args.make, args.seed))
        report.result({"made": str(args.make)})
        return DONE
    facts = report.follow(notes_shown(tour.tour(args.out), report)).facts
    report.result(facts, {}, [tour.table(facts)])
    return DONE


def notes_shown(steps: Iterator[Progress], report: Report) -> Iterator[Progress]:
    """Yield all `steps`; show the messages of steps that report a result or announce the next stage."""
    for step in steps:
        if step.stage == tour.NOTE and step.done < step.total:
            report.note(step)
        else:
            yield step


def add_bench(parser: ArgumentParser) -> None:
    """Add the options. The parsed namespace has a field of Matrix only if its option was given."""
    parser.add_argument(
        "--out", type=Path, required=True, help="the folder for the results; an unfinished bench in it resumes"
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=tour.DEMO / "model",
        help="the folder of the base model (default: that of the demo)",
    )
    parser.add_argument(
        "--seeds", choices=[name for name in SEEDS if name != "report-real"], default="dev",
        help="dev: seeds for choosing settings; report, report-targets for other targets than the fixed answer, and "
        "report-families for other base models: seeds for reported results only (default: dev)",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="run a small matrix, which takes a minute, to check that everything works"
    )
    for name, (kind, help) in LISTS.items():
        parser.add_argument(f"--{name}", type=kind, nargs="+", default=argparse.SUPPRESS, help=help)
    for name, (kind, help) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=kind, default=argparse.SUPPRESS, help=help)
    add_trigger_settings(parser)
    parser.add_argument(
        "--tower", action="store_true", help="also adapt the vision tower, which stays frozen in the paper"
    )


def matrix_of(args: Namespace) -> Matrix:
    """Return the quick or the default matrix, changed by the options that were given."""
    given: dict[str, Any] = {name: tuple(getattr(args, name)) for name in LISTS if name in args}
    given |= {name: getattr(args, name) for name in NUMBERS if name in args}
    given["changed"] = trigger_settings(args)
    return replace(QUICK if args.quick else Matrix(), purpose=args.seeds, tower=args.tower, **given)


def run_bench(args: Namespace, report: Report) -> int:
    facts = report.follow(bench(args.model, matrix_of(args), args.out)).facts
    counts = {"folder": facts["folder"], "cells": len(facts["rows"]), "pending": len(facts["pending"])}
    failures = [f"failed: {name}: {reason}" for name, reason in facts["failed"].items()]
    report.result(facts, counts | {"failed": len(facts["failed"])}, [*lines(facts["rows"]), *failures])
    return FAILED if facts["failed"] else DONE


def add_speed(parser: ArgumentParser) -> None:
    default = SpeedSettings()
    parser.add_argument("--model", help="a folder, or a model id on the Hugging Face Hub")
    parser.add_argument("--adapter", help="a PEFT adapter of the model: a folder or a Hub id")
    parser.add_argument(
        "--shape", choices=list(SHAPES), help="instead of a model: a LLaVA of this size with random weights"
    )
    for name, help in MACHINE.items():
        parser.add_argument(f"--{name}", default="auto", help=help)
    numbers = {
        "batch": "samples per forward pass",
        "rounds": "batches that every way reads",
        "side": "pixels along the sides of the generated JPEG images",
        "loaders": LOADERS,
    }
    for name, help in numbers.items():
        value = getattr(default, name)
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{help} (default: {value})")


def run_speed(args: Namespace, report: Report) -> int:
    settings = SpeedSettings(**{name: getattr(args, name) for name in SpeedSettings.__dataclass_fields__})
    facts = report.follow(measure_speed(settings), unit="rounds").facts
    report.result(facts, {}, table(facts))
    return DONE


DEMO = Command(
    "demo", "run the whole method on the shipped demo and print its numbers", add_demo, run_demo,
    after_stop="With the same --out FOLDER, the command resumes where it stopped.",
)  # fmt: skip
BENCH = Command(
    "bench",
    "compare the speed and memory of a scan with a plain forward pass and with the authors' way",
    add_speed, run_speed,
)  # fmt: skip
BENCH_DETECT = Command(
    "bench-detect",
    "measure every detector on models trained with many attacks, rates, questions, sizes and seeds; resumes",
    add_bench, run_bench, after_stop=RESUMES,
)  # fmt: skip
