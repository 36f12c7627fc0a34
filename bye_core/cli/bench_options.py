"""What `bench-detect` takes, and the matrix that it asks for."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

from bye_core.bench.matrix import ATTACKS, MIXES, QUICK, Matrix
from bye_core.bench.seeds import SEEDS
from bye_core.cli.attack_options import setting
from bye_core.demo.tour import DEMO

# Options that are fields of a Matrix, with a list of values each.
LISTS = {
    "attacks": (str, f"triggers, joined by + where samples carry several, or clean (default: {' '.join(ATTACKS)})"),
    "rates": (float, "shares of the samples that are poisoned (default: 0.1)"),
    "mixes": (str, f"kinds of question in the sets: {', '.join(MIXES)} (default: mixed)"),
    "samples": (int, "sizes of the sets (default: 600)"),
}
NUMBERS = {
    "repeats": (int, "how many seeds (default: 1)"),
    "epochs": (float, "length of each fine-tuning (default: 5)"),
    "test": (int, "held-out questions for CP and ASR (default: 100)"),
}


def add_bench(parser: ArgumentParser) -> None:
    """What is not given is not in the namespace."""
    parser.add_argument("--out", type=Path, required=True, help="its folder; a bench that was stopped goes on there")
    parser.add_argument("--model", type=Path, default=DEMO / "model", help="a folder (default: the demo's base model)")
    parser.add_argument(
        "--seeds", choices=list(SEEDS), default="dev", help="dev: to choose settings on; report: to report, only"
    )
    parser.add_argument("--quick", action="store_true", help="a small matrix, in a minute: does everything run?")
    for name, (kind, help) in LISTS.items():
        parser.add_argument(f"--{name}", type=kind, nargs="+", default=argparse.SUPPRESS, help=help)
    for name, (kind, help) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=kind, default=argparse.SUPPRESS, help=help)
    parser.add_argument(
        "--set", type=setting, nargs="+", action="extend", default=[], metavar="TRIGGER.SETTING=VALUE",
        help="settings of triggers that are not the usual ones: blend.a=0.3 (`poison --help` lists them)",
    )  # fmt: skip
    parser.add_argument(
        "--tower", action="store_true", help="adapt the vision tower too, which the paper leaves as it is"
    )


def matrix_of(args: argparse.Namespace) -> Matrix:
    """The quick matrix or the usual one, with the options that were given."""
    given = {name: tuple(getattr(args, name)) for name in LISTS if name in args}
    given |= {name: getattr(args, name) for name in NUMBERS if name in args}
    changed = tuple("=".join(one) for one in args.set)
    return replace(QUICK if args.quick else Matrix(), purpose=args.seeds, tower=args.tower, changed=changed, **given)
