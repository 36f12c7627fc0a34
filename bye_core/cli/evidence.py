"""The subcommand that says why samples are flagged: evidence."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from bye_core import pipeline
from bye_core.cli.output import DONE, Report
from bye_core.evidence import sentences

LISTED = 5  # answers that people are shown


def run_evidence(args: argparse.Namespace, report: Report) -> int:
    if args.check or args.model or args.adapter:
        report.follow(pipeline.check_causes(args.run, args.model, args.adapter, args.data, args.device))
    facts = pipeline.evidence(args.run)
    table = {"verdict": facts["verdict"], "samples": facts["samples"], "flagged": facts["flagged"]}
    report.result(facts, table, lines(facts))
    return DONE


def lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The dossier for people: its sentences, the answers most over-represented, and what the model said when asked."""
    yield from sentences.sentences(facts)
    rows = [sentences.ANSWER_HEAD, *sentences.answer_rows(facts, LISTED)]
    if len(rows) > 1:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for first, *rest in rows:
            cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
            yield "  ".join((first.ljust(widths[0]), *cells))
    for label, number in sentences.outcome_rows(facts["causes"]):
        yield f"{number:>7}  {label}"
    if facts["causes"]["faults"]:
        yield f"{len(facts['causes']['faults']):>7}  could not be asked; --json says why"
