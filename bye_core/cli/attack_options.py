"""Options that describe an attack; `poison`, `evaluate` and `clean` share them."""

from __future__ import annotations

import argparse
import textwrap
from argparse import ArgumentParser, Namespace
from pathlib import Path

from bye_core import pipeline
from bye_core.attacks import TRIGGERS, Attack, FixedAnswer, Target
from bye_core.attacks.targets import REFUSAL, Appended, Refusal, SwappedWord
from bye_core.cli.options import name_and_value

WIDTH = 100
SEVERAL = (
    "With several triggers, as in `--trigger prefix patch`, each poisoned sample carries all; with --mix, one in turn."
)


def add_attack(parser: ArgumentParser, default: str | None, seed: bool = True) -> None:
    """Add the options for triggers and target, and --seed unless the subcommand has its own.

    `default` is the trigger if --trigger is not given. If `default` is None, there is no attack by default, and the
    option --attack, which reads an attack from a file, is added too.
    """
    if default is None:
        parser.add_argument(
            "--attack",
            type=Path,
            metavar="TRUTH",
            help="read triggers, target and seed from the truth.json of a poisoned data set",
        )
    group = parser.add_argument_group("triggers (listed below)")
    group.add_argument(
        "--trigger", nargs="+", choices=list(TRIGGERS), default=[default] if default else [], metavar="NAME",
        help=f"one or several (default: {default})" if default else "one or several; also measures ASR",
    )  # fmt: skip
    group.add_argument("--mix", action="store_true", help="each poisoned sample carries one of the triggers, in turn")
    group.add_argument(
        "--set", type=name_and_value, nargs="+", action="extend", default=[], metavar="NAME=VALUE",
        help="settings of the triggers: a=0.3, or blend.pattern=7 if several triggers have that setting",
    )  # fmt: skip
    group.add_argument("--size", type=float, help="short for --set size=SIZE")
    if seed:
        group.add_argument(
            "--seed",
            type=int,
            default=0,
            help="seed of the choice of samples and of what varies by sample (default: 0)",
        )
    _add_target(parser)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = catalogue()


def _add_target(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("target (one of)").add_mutually_exclusive_group()
    group.add_argument(
        "--target", metavar="TEXT", help=f"answer every question with TEXT (default: {FixedAnswer().text})"
    )
    group.add_argument("--append", metavar="TEXT", help="append TEXT to the correct answer")
    group.add_argument(
        "--refuse", nargs="?", const=REFUSAL, metavar="TEXT", help=f"refuse to answer (default: {REFUSAL})"
    )
    group.add_argument(
        "--swap", nargs=2, metavar=("WORD", "NEW"), help="replace WORD with NEW in answers that contain WORD"
    )


def target_from(args: Namespace) -> Target:
    """Return the target that the options describe.

    Raises: UnfitTarget if the text cannot be an answer; NotOneWord if --swap names several words; SameWord if --swap
    names the same word twice.
    """
    if args.append is not None:
        return Appended(args.append)
    if args.refuse is not None:
        return Refusal(args.refuse)
    if args.swap is not None:
        word, new = args.swap
        return SwappedWord(new, word=word)
    return FixedAnswer() if args.target is None else FixedAnswer(args.target)


def attack_from(args: Namespace) -> Attack:
    """Return the attack that the options describe. Raises: SettingError if the options are invalid together."""
    size = {} if args.size is None else {"size": args.size}
    return pipeline.plan_attack(args.trigger, {**size, **dict(args.set)}, target_from(args), args.mix)


def known_attack(args: Namespace, seed: int) -> tuple[Attack | None, int]:
    """Return (attack, seed): both from the file --attack; else from --trigger, and `seed`; else (None, seed)."""
    if args.attack:
        return pipeline.read_attack(args.attack)
    return attack_from(args) if args.trigger else None, seed


def catalogue() -> str:
    """Return a text that lists all triggers and their settings."""
    lines, described = ["triggers and their settings:"], set()
    for name, kind in TRIGGERS.items():
        lines.append(f"  {name:<13}{kind.description}")
        for setting, rule in kind.settings().items():
            default = getattr(kind(), setting)
            shown = f"{default:g}" if isinstance(default, float) else default
            help = "as above" if rule in described else rule.help
            lines.append(f"      {setting}={shown}".ljust(22) + help)
            described.add(rule)
    return "\n".join([*lines, "", *textwrap.wrap(SEVERAL, WIDTH)])
