"""The subcommands that judge: models, a whole cleaning, new questions, or the detectors themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from bye_core import pipeline
from bye_core.bench.results import lines
from bye_core.bench.run import bench
from bye_core.cli.attack_options import known_attack
from bye_core.cli.bench_options import matrix_of
from bye_core.cli.options import cleaning_of, source
from bye_core.cli.output import DONE, FAILED, POISONED, Report
from bye_core.data.images import read_bytes
from bye_core.errors import SettingError
from bye_core.text import MEASURES, clip, measured


class WhatToGuard(SettingError):
    problem = "The guard needs either a picture and a question, or a whole set."
    remedy = "Give --image FILE --question TEXT, or --data SET."


def run_evaluate(args: argparse.Namespace, report: Report) -> int:
    how = {"device": args.device, "dtype": args.dtype, "metric": args.metric, "out": args.out}
    attack = known_attack(args, args.seed)
    steps = pipeline.evaluate(args.model, args.data, args.adapter, *attack, **how, **source(args))
    facts = report.follow(steps, "answers").facts
    counts = {name: facts[name] for name in ("samples", "left_out", "failed")}
    report.result(facts, counts | figure_table(facts), question_lines(facts))
    return DONE


def figure_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """What was measured, with its interval, for people."""
    return {label: measured(facts, key) for key, (label, _) in MEASURES.items() if facts.get(key) is not None}


def question_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A line for every type of question."""
    for question, group in facts["by_question"].items():
        figures = "  ".join(f"{label} {told}" for label, told in figure_table(group).items())
        yield f"{group['samples']:>7}  {clip(question, 100)}\n         {figures}"


def run_clean(args: argparse.Namespace, report: Report) -> int:
    facts = report.follow(pipeline.clean(cleaning_of(args), args.out)).facts
    table = {name: value for name, value in facts.items() if name != "models"}
    report.result(facts, table, model_lines(facts["models"]))
    return POISONED if args.fail_on_poison and facts["verdict"] == "poisoned" else DONE


def model_lines(models: Mapping[str, Any]) -> Iterator[str]:
    """A line for every model that was measured."""
    for name, facts in models.items():
        figures = "  ".join(f"{label} {told}" for label, told in figure_table(facts).items())
        yield f"{pipeline.MODELS[name]:<32}  {figures}"


def run_report(args: argparse.Namespace, report: Report) -> int:
    facts = pipeline.report(args.run, args.out, args.data, args.samples)
    written = {"written": str(args.out), "json": str(args.out.with_suffix(".json"))}
    report.result({**written, **facts}, {**written, "verdict": facts["verdict"], "flagged": facts["counts"]["flagged"]})
    return DONE


def run_guard(args: argparse.Namespace, report: Report) -> int:
    asked = args.image is not None and args.question is not None
    if asked == bool(args.data):
        raise WhatToGuard()
    opened = pipeline.open_guard(args.run, args.model, args.adapter, args.device)
    if asked:
        picture = read_bytes(args.image.resolve().parent, args.image.name)
        facts = pipeline.guard_one(opened, picture, args.question, args.image.name)
        report.result(facts, {name: facts[name] for name in ("triggered", "score", "value", "first_token", "reason")})
        seen = facts["triggered"]
    else:
        facts = report.follow(pipeline.guard_set(opened, args.data, args.out, **source(args))).facts
        seen = bool(facts["triggered"])
        table = {name: facts[name] for name in ("samples", "failed", "share", "share_interval")}
        report.result(facts, {**table, "triggered": len(facts["triggered"]), "unknown": len(facts["unknown"])})
    return POISONED if args.fail_on_poison and seen else DONE


def run_bench(args: argparse.Namespace, report: Report) -> int:
    facts = report.follow(bench(args.model, matrix_of(args), args.out)).facts
    counts = {"folder": facts["folder"], "cells": len(facts["rows"]), "pending": len(facts["pending"])}
    failures = [f"failed: {name}: {reason}" for name, reason in facts["failed"].items()]
    report.result(facts, counts | {"failed": len(facts["failed"])}, [*lines(facts["rows"]), *failures])
    return FAILED if facts["failed"] else DONE
