"""How the command line names an attack: `poison` and `evaluate` share these options."""

from __future__ import annotations

import argparse
import textwrap
from argparse import ArgumentParser
from pathlib import Path

from bye_core import pipeline
from bye_core.attacks import TRIGGERS, Attack, FixedAnswer, Target
from bye_core.attacks.targets import REFUSAL, Appended, Refusal, SwappedWord

WIDTH = 100
SHARED = "Several triggers: --trigger prefix patch puts both on each poisoned sample, with --mix one of them in turn."


def setting(text: str) -> tuple[str, str]:
    """NAME=VALUE -> (NAME, VALUE)."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as a=0.3 or blend.a=0.3")
    return name, value


def add_attack(parser: ArgumentParser, default: str | None, seed: bool = True) -> None:
    """`default` is the trigger where none is named; None for no attack at all, which may then be read from a truth file
    as well. `seed`: False where the command has a seed of its own."""
    if default is None:
        parser.add_argument(
            "--attack",
            type=Path,
            metavar="TRUTH",
            help="triggers, target and seed of a poisoned set, from its truth.json",
        )
    group = parser.add_argument_group("the triggers, listed below")
    group.add_argument(
        "--trigger", nargs="+", choices=list(TRIGGERS), default=[default] if default else [], metavar="NAME",
        help=f"one or several (default: {default})" if default else "one or several: measure ASR too",
    )  # fmt: skip
    group.add_argument("--mix", action="store_true", help="each poisoned sample carries one of several, in turn")
    group.add_argument(
        "--set", type=setting, nargs="+", action="extend", default=[], metavar="NAME=VALUE",
        help="settings of the triggers: a=0.3; blend.pattern=7 where several have one of that name",
    )  # fmt: skip
    group.add_argument("--size", type=float, help="the same as --set size=SIZE")
    if seed:
        group.add_argument("--seed", type=int, default=0, help="which samples are drawn, and what differs by sample")
    _add_target(parser)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = catalogue()


def _add_target(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the target, one of").add_mutually_exclusive_group()
    group.add_argument("--target", metavar="TEXT", help=f"this answer to everything (default: {FixedAnswer().text})")
    group.add_argument("--append", metavar="TEXT", help="a sentence after the right answer")
    group.add_argument("--refuse", nargs="?", const=REFUSAL, metavar="TEXT", help=f"a refusal (default: {REFUSAL})")
    group.add_argument(
        "--swap", nargs=2, metavar=("WORD", "NEW"), help="NEW in place of WORD, in answers that hold WORD"
    )


def target_from(args: argparse.Namespace) -> Target:
    """Raises UnfitTarget, NotOneWord, SameWord."""
    if args.append is not None:
        return Appended(args.append)
    if args.refuse is not None:
        return Refusal(args.refuse)
    if args.swap is not None:
        word, new = args.swap
        return SwappedWord(new, word=word)
    return FixedAnswer() if args.target is None else FixedAnswer(args.target)


def attack_from(args: argparse.Namespace) -> Attack:
    """Raises a SettingError for what makes no sense."""
    size = {} if args.size is None else {"size": args.size}
    return pipeline.plan_attack(args.trigger, {**size, **dict(args.set)}, target_from(args), args.mix)


def known_attack(args: argparse.Namespace, seed: int) -> tuple[Attack | None, int]:
    """The attack that is to be measured, with its seed: both from a truth file, or by name with `seed`, or none."""
    if args.attack:
        return pipeline.read_attack(args.attack)
    return attack_from(args) if args.trigger else None, seed


def catalogue() -> str:
    """All triggers with their settings, for a person."""
    lines, explained = ["triggers and their settings:"], set()
    for name, kind in TRIGGERS.items():
        lines.append(f"  {name:<13}{kind.about}")
        for setting, rule in kind.rules().items():
            default = getattr(kind(), setting)
            shown = f"{default:g}" if isinstance(default, float) else default
            help = "as above" if rule in explained else rule.help
            lines.append(f"      {setting}={shown}".ljust(22) + help)
            explained.add(rule)
    return "\n".join([*lines, "", *textwrap.wrap(SHARED, WIDTH)])
