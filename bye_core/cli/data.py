"""The subcommands that read and write data sets: check, poison, export."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bye_core import pipeline
from bye_core.attacks.poison import SampleFilter
from bye_core.cli.attack_options import add_attack, attack_from
from bye_core.cli.options import MOVED_DATA, Command, add_format, add_out, add_run, reading_options
from bye_core.cli.output import DONE, FAILED, Report, fault_line
from bye_core.data import FORMATS
from bye_core.data.llava_set import ENCODINGS
from bye_core.records import Fault, Progress
from bye_core.text import count

ENTROPY_FORMAT = "bye-entropy"


def add_check(parser: ArgumentParser) -> None:
    parser.add_argument("data", help="the data set: a file, a folder or a Hub id")
    add_format(parser)
    parser.add_argument(
        "--no-images", action="store_true", help="check that the images are there, but do not open them (fast)"
    )


def run_check(args: Namespace, report: Report) -> int:
    faults: list[Fault] = []

    def collect(steps: Iterable[Progress]) -> Iterator[Progress]:
        for step in steps:
            faults.extend(step.facts["faults"])
            yield step

    last = report.follow(collect(pipeline.check(args.data, reading_options(args), not args.no_images)))
    summary = last.facts["summary"]
    lines = [f"note     {note}" for note in summary["notes"]]
    lines += [f"{'refused' if fault.fatal else 'warning'}  {fault_line(fault)}" for fault in faults]
    table = {name: value for name, value in summary.items() if name != "notes"}
    report.result({**summary, "faults": faults}, table, lines)
    return FAILED if any(fault.fatal for fault in faults) else DONE


def add_poison(parser: ArgumentParser) -> None:
    parser.add_argument("data", help="the data set: a file, a folder or a Hub id")
    add_format(parser)
    add_attack(parser, "patch")
    group = parser.add_argument_group("which samples to poison")
    share = group.add_mutually_exclusive_group()
    share.add_argument("--rate", type=float, default=0.1, help="share of all samples to poison (default: 0.1)")
    share.add_argument("--count", type=int, metavar="N", help="poison exactly N samples, instead of a share")
    group.add_argument(
        "--only-answer", default="", metavar="TEXT", help="poison only samples with this answer (one class)"
    )
    group.add_argument(
        "--only-question", default="", metavar="TEXT",
        help="poison only samples whose question contains this text (one kind of question)",
    )  # fmt: skip
    parser.add_argument(
        "--encoding", choices=list(ENCODINGS), default="jpeg",
        help="file format of all images, poisoned or not (default: jpeg)",
    )  # fmt: skip
    add_out(parser, "the folder for the poisoned data set")


def run_poison(args: Namespace, report: Report) -> int:
    only = SampleFilter(args.only_answer, args.only_question)
    plan = (attack_from(args), args.rate, args.seed, only, args.encoding)
    steps = pipeline.poison(args.data, args.out, *plan, reading=reading_options(args), count=args.count)
    last = report.follow(steps)
    result = {"written": str(args.out), "samples": last.total, **last.facts}
    report.result(result, dict(poison_table(result)))
    return DONE


def poison_table(result: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the label and the text of each fact of a poisoning, with units."""
    yield from ((name, result[name]) for name in ("written", "samples", "poisoned", "unreadable"))
    if "text_only" in result:
        yield "without an image", result["text_only"]
    if "psnr" in result:
        yield "image quality (PSNR)", f"{result['psnr']:.1f} dB, {result['psnr_encoded']:.1f} dB after encoding"
        yield "trigger left after encoding", f"{result['survives_encoding']:.1%}"


def add_export(parser: ArgumentParser) -> None:
    add_run(parser)
    add_out(parser, "where to write the data set")
    parser.add_argument(
        "--format", default="same", choices=["same", *FORMATS, ENTROPY_FORMAT],
        help=f"format to write (default: same as the source); {ENTROPY_FORMAT}: entropies for `detect --entropy`",
    )  # fmt: skip
    parser.add_argument(
        "--drop-unscanned", action="store_true",
        help="leave out the records without an image, which cannot be scanned; they are kept by default",
    )  # fmt: skip
    parser.add_argument("--data", help=MOVED_DATA)


def run_export(args: Namespace, report: Report) -> int:
    if args.format == ENTROPY_FORMAT:
        report.result({"written": str(pipeline.export_entropies(args.run, args.out))})
        return DONE
    manifest = pipeline.export_run(args.run, args.out, args.format, args.data, args.drop_unscanned)
    undecided, lines = manifest["counts"]["undecided_flagged"], []
    if undecided:
        lines = [
            f"{undecided} of the kept samples {'is' if undecided == 1 else 'are'} flagged without a decision. "
            f"To remove them: `python -m bye_core decide --run {args.run} --reject-flagged`, then export again."
        ]
    if unscanned := manifest["counts"].get("kept_unscanned"):
        lines.append(
            f"{count(unscanned, 'record')} without an image {'was' if unscanned == 1 else 'were'} kept unscanned. "
            "To leave out such records: --drop-unscanned."
        )
    report.result(manifest, {"written": str(args.out), **manifest["counts"]}, lines)
    return DONE


CHECK = Command("check", "validate a data set: list every fault by sample, with its remedy", add_check, run_check)
POISON = Command("poison", "plant a trigger and the attacker's answer in a share of a data set", add_poison, run_poison)
EXPORT = Command("export", "write the cleaned data set", add_export, run_export)
