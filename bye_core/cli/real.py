"""The subcommand bench-real: the benchmark on pretrained base models and real photographs."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from bye_core.bench.real.worlds import ATTACKS, WORLDS, RealMatrix
from bye_core.bench.results import lines
from bye_core.cli.attack_options import add_trigger_settings, trigger_settings
from bye_core.cli.options import RESUMES, Command
from bye_core.cli.output import DONE, FAILED, Report

NUMBERS = {
    "repeats": (int, "number of seeds (default: 1)"),
    "samples": (int, "size of each data set (default: 600)"),
    "epochs": (float, "epochs of each fine-tuning (default: 5)"),
    "test": (int, "number of held-out questions for CP and ASR (default: 200)"),
}
LISTS = {
    "worlds": (
        list(WORLDS),
        "photographs-small: EfficientNet-Lite0 and a decoder of the demo's size; photographs: EfficientNet-Lite0 and "
        "SmolLM2-135M; scenes: a tower trained on drawn scenes and SmolLM2-135M (default: all)",
    ),
    "attacks": (list(dict.fromkeys(attack for attack, _ in ATTACKS)), "attacks to measure (default: all)"),
    "targets": (
        list(dict.fromkeys(target for _, target in ATTACKS)),
        'answer: the fixed answer "Backdoor Attack!"; flip: an ordinary answer of the set (default: all)',
    ),
}


def add_real(parser: ArgumentParser) -> None:
    """Add the options. The parsed namespace has a field of RealMatrix only if its option was given."""
    parser.add_argument(
        "--out", type=Path, required=True, help="the folder for the results; an unfinished bench in it resumes"
    )
    parser.add_argument(
        "--garments", type=Path, help="folder of the photographs, with train.json, validation.json and test.json"
    )
    parser.add_argument(
        "--seeds", choices=["dev", "report-real"], default="dev",
        help="dev: seeds for choosing settings; report-real: seeds for reported results only (default: dev)",
    )  # fmt: skip
    for name, (choices, text) in LISTS.items():
        parser.add_argument(f"--{name}", nargs="+", choices=choices, default=argparse.SUPPRESS, help=text)
    for name, (kind, text) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=kind, default=argparse.SUPPRESS, help=text)
    add_trigger_settings(parser)


def run_real(args: Namespace, report: Report) -> int:
    from bye_core.bench.real.run import bench_real  # loads torch

    given: dict[str, Any] = {name: tuple(getattr(args, name)) for name in LISTS if name in args}
    given |= {name: getattr(args, name) for name in NUMBERS if name in args}
    given["changed"] = trigger_settings(args)
    facts = report.follow(bench_real(RealMatrix(args.garments, purpose=args.seeds, **given), args.out)).facts
    counts = {"folder": facts["folder"], "pending": len(facts["pending"]), "failed": len(facts["failed"])}
    tables = [line for world, own in facts["worlds"].items() for line in (f"\n{world}", *lines(own["rows"]))]
    report.result(facts, counts, [*tables, *(f"failed: {name}: {why}" for name, why in facts["failed"].items())])
    return FAILED if facts["failed"] else DONE


BENCH_REAL = Command(
    "bench-real",
    "measure every detector on pretrained base models and on real photographs; resumes",
    add_real, run_real, after_stop=RESUMES,
)  # fmt: skip
