"""The subcommands that explain results and apply them to new inputs: evidence, report, guard."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.cli.options import (
    CAPTION_QUESTION,
    MACHINE,
    MOVED_BEFORE,
    MOVED_DATA,
    Command,
    add_device_map,
    add_format,
    add_moved_model,
    add_out,
    add_pixels,
    add_run,
    add_workers,
    device_of,
    pixel_limits,
    reading_options,
    worker_settings,
)
from bye_core.cli.output import DONE, POISONED, Report
from bye_core.data.images import read_bytes
from bye_core.errors import SettingError
from bye_core.evidence import sentences
from bye_core.pipeline.report import EXHIBITS

LISTED = 5  # answers in the printed text


class WhatToGuard(SettingError):
    problem = "The guard needs either an image and a question, or a data set."
    remedy = "Give --image FILE --question TEXT, or --data SET."


def add_evidence(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument(
        "--check", action="store_true",
        help="also query the model again with the suspected spot of the image covered; resumes when run again",
    )  # fmt: skip
    parser.add_argument("--model", help="current path of the scanned model, if you moved it; turns on --check")
    parser.add_argument("--adapter", help="current path of the scanned adapter, if you moved it; turns on --check")
    parser.add_argument("--data", help=f"{MOVED_DATA}; turns on --check")
    parser.add_argument("--device", default="auto", help=f"{MACHINE['device']}; turns on --check")
    add_device_map(parser)
    add_workers(parser, "the model is queried for --check, which this turns on")


def run_evidence(args: Namespace, report: Report) -> int:
    workers, device = worker_settings(args), device_of(args)
    moved = args.model or args.adapter or args.data
    if args.check or moved or device != "auto" or workers:
        model = (args.model, args.adapter, args.data, device)
        report.follow(pipeline.check_causes(args.run, *model, workers=workers))
    facts = pipeline.evidence(args.run)
    table = {"verdict": facts["verdict"], "samples": facts["samples"], "flagged": facts["flagged"]}
    report.result(facts, table, evidence_lines(facts))
    return DONE


def evidence_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the evidence as lines: sentences, the most over-represented answers, the result of the causal check."""
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
        yield f"{len(facts['causes']['faults']):>7}  could not be checked; --json gives the reasons"


def add_inspect(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument(
        "--id", action="append", required=True, dest="ids", metavar="ID", help="a sample of the run; can be repeated"
    )
    add_moved_model(parser)
    parser.add_argument("--before", help=MOVED_BEFORE)
    parser.add_argument("--data", help=MOVED_DATA)


def run_inspect(args: Namespace, report: Report) -> int:
    moved = (args.model, args.adapter, args.data, args.device, args.before)
    report.follow(pipeline.inspect_samples(args.run, args.ids, *moved))
    found = pipeline.read_inspections(args.run, args.ids)
    facts = [{name: getattr(one, name) for name in ("id", "answer", "answer_before", "fault")} for one in found]
    lines = (
        f"{one.id}: {one.fault or one.answer!r}"
        + (f"; before fine-tuning: {one.answer_before!r}" if one.answer_before is not None else "")
        for one in found
    )
    report.result({"samples": facts}, {"inspected": len(found)}, lines)
    return DONE


def add_report(parser: ArgumentParser) -> None:
    add_run(parser)
    add_out(parser, "the HTML file to write; a JSON file of the same name is written beside it")
    parser.add_argument("--data", help=MOVED_DATA)
    parser.add_argument(
        "--samples",
        type=int,
        default=EXHIBITS,
        help=f"number of flagged samples to show with their images (default: {EXHIBITS})",
    )


def run_report(args: Namespace, report: Report) -> int:
    facts = pipeline.report(args.run, args.out, args.data, args.samples)
    written = {"written": str(args.out), "json": str(args.out.with_suffix(".json"))}
    report.result({**written, **facts}, {**written, "verdict": facts["verdict"], "flagged": facts["counts"]["flagged"]})
    return DONE


def add_guard(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--image", type=Path, help="an image file, with --question")
    parser.add_argument("--question", help=f"the question about --image; with --data, {CAPTION_QUESTION}")
    parser.add_argument("--data", help="a data set, instead of one image and question")
    add_format(parser, question=False)
    parser.add_argument("--out", type=Path, help="with --data: a file for the results, one JSON line per sample")
    add_moved_model(parser)
    add_device_map(parser)
    add_pixels(parser, "those of the scan")
    add_workers(parser, "the model reads the samples of --data")
    parser.add_argument("--fail-on-poison", action="store_true", help="exit with code 3 if an input looks triggered")


def run_guard(args: Namespace, report: Report) -> int:
    single = args.image is not None and args.question is not None
    if single == bool(args.data):
        raise WhatToGuard()
    where = (args.model, args.adapter, device_of(args), pixel_limits(args))
    facts: Mapping[str, Any]
    if single:
        guard = pipeline.open_guard(args.run, *where)
        image = read_bytes(args.image.resolve().parent, args.image.name)
        facts = pipeline.guard_one(guard, image, args.question, args.image.name)
        report.result(facts, {name: facts[name] for name in ("triggered", "score", "value", "first_token", "reason")})
        triggered = facts["triggered"]
    else:
        with pipeline.guard_in_workers(args.run, worker_settings(args), *where) as guard:
            facts = report.follow(pipeline.guard_set(guard, args.data, args.out, reading=reading_options(args))).facts
        triggered = bool(facts["triggered"])
        table = {name: facts[name] for name in ("samples", "failed", "share", "share_interval")}
        report.result(facts, {**table, "triggered": len(facts["triggered"]), "unknown": len(facts["unknown"])})
    return POISONED if args.fail_on_poison and triggered else DONE


REPORT = Command(
    "report", "write a report on a run (HTML and JSON): what is flagged, why, and how it was obtained",
    add_report, run_report, long=False,
)  # fmt: skip
EVIDENCE = Command(
    "evidence", "explain why samples are flagged: attention, answers and a causal check",
    add_evidence, run_evidence, after_stop="Checked samples are kept. Run the same command to resume.",
)  # fmt: skip
INSPECT = Command(
    "inspect", "ask the model about single samples: its whole answer before and after fine-tuning, and all heads",
    add_inspect, run_inspect, after_stop="Inspected samples are kept. Run the same command to resume.",
)  # fmt: skip
GUARD = Command(
    "guard",
    "check whether a new image and question look triggered, by comparison with a finished run",
    add_guard,
    run_guard,
)
