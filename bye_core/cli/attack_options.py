"""Options that describe an attack, shared by `poison`, `evaluate`, `clean` and the benchmarks."""

from __future__ import annotations

import argparse
import textwrap
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.attacks import TARGETS, TRIGGERS, Attack, FixedAnswer, Target
from bye_core.attacks.targets import Refusal
from bye_core.cli.options import name_and_value

WIDTH = 100
SEVERAL = (
    "With several triggers, as in `--trigger prefix patch`, a poisoned sample carries all; with --mix, it carries one."
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
        help=f"one or several triggers (default: {default})" if default else "one or several; also measures ASR",
    )  # fmt: skip
    group.add_argument(
        "--mix", action="store_true", help="give each poisoned sample one of the triggers, in turn, instead of all"
    )
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
            help="seed for choosing the samples and for the random parts of triggers (default: 0)",
        )
    _add_target(parser)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = catalogue()


def _add_target(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("target (one of)")
    one_of = group.add_mutually_exclusive_group()
    for kind in TARGETS.values():
        one_of.add_argument(kind.option, dest=_field(kind), help=_target_help(kind), **_values(kind))
    further = [
        f"{name} ({kind.option}: {rule.help})"
        for kind in TARGETS.values()
        for name, rule in kind.settings().items()
        if name not in kind.arguments
    ]
    group.add_argument(
        "--target-set", type=name_and_value, nargs="+", action="extend", default=[], metavar="NAME=VALUE",
        help=f"further settings of the target: {'; '.join(further)}",
    )  # fmt: skip


def _field(kind: type[Target]) -> str:
    """Return the name of the option's field in the parsed namespace."""
    return kind.option.lstrip("-").replace("-", "_")


def _values(kind: type[Target]) -> dict[str, Any]:
    """Return how argparse reads the values of the option: one text, several texts, or () if none is given."""
    names = tuple(name.upper() for name in kind.arguments)
    if not names:
        return {"action": "store_const", "const": ()}
    if len(names) > 1:
        return {"nargs": len(names), "metavar": names}
    return {"metavar": names[0], **({"nargs": "?", "const": ()} if kind.optional else {})}


def _target_help(kind: type[Target]) -> str:
    default = kind.examples().get(kind.arguments[0], "") if kind in (FixedAnswer, Refusal) else ""
    return f"{kind.help} (default: {default})" if default else kind.help


def target_from(args: Namespace) -> Target:
    """Return the target that the options describe. Raises: SettingError if a value is not valid."""
    further = dict(args.target_set)
    for name, kind in TARGETS.items():
        if (given := getattr(args, _field(kind))) is not None:
            return pipeline.plan_target(name, [given] if isinstance(given, str) else given, further)
    return pipeline.plan_target(FixedAnswer.kind, (), further)


def attack_from(args: Namespace) -> Attack:
    """Return the attack that the options describe. Raises: SettingError if the options are invalid together."""
    size = {} if args.size is None else {"size": args.size}
    return pipeline.plan_attack(args.trigger, {**size, **dict(args.set)}, target_from(args), args.mix)


def known_attack(args: Namespace, seed: int) -> tuple[Attack | None, int]:
    """Return (attack, seed): both from the file --attack; else from --trigger, and `seed`; else (None, seed)."""
    if args.attack:
        return pipeline.read_attack(args.attack)
    return attack_from(args) if args.trigger else None, seed


def add_trigger_settings(parser: ArgumentParser) -> None:
    """Add the option --set of a benchmark, which plants triggers one after another."""
    parser.add_argument(
        "--set", type=name_and_value, nargs="+", action="extend", default=[], metavar="TRIGGER.SETTING=VALUE",
        help="settings of triggers that replace the defaults, for example blend.a=0.3 (`poison --help` lists them)",
    )  # fmt: skip


def trigger_settings(args: Namespace) -> tuple[str, ...]:
    """Return the settings that --set of `add_trigger_settings` gives, each "TRIGGER.SETTING=VALUE"."""
    return tuple(map("=".join, args.set))


def catalogue() -> str:
    """Return a text that lists all triggers and their settings."""
    lines, described = ["triggers and their settings:"], set()
    for name, kind in TRIGGERS.items():
        lines.append(f"  {name:<13}{kind.description}")
        for setting, rule in kind.settings().items():
            default = getattr(kind(), setting)
            shown = f"{default:g}" if isinstance(default, float) else default
            help = "as above" if rule in described else rule.help
            lines.append(f"      {setting}={shown} ".ljust(22) + help)
            described.add(rule)
    return "\n".join([*lines, "", *textwrap.wrap(SEVERAL, WIDTH)])
