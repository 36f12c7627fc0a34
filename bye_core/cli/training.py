"""The subcommands that train and measure models: finetune, evaluate, clean."""

from __future__ import annotations

import argparse
import json
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.cli.attack_options import add_attack, known_attack
from bye_core.cli.options import (
    RESUMES,
    Command,
    add_device_map,
    add_finetune_settings,
    add_format,
    add_method,
    add_metric,
    add_model,
    add_out,
    add_pixels,
    add_workers,
    device_of,
    finetune_settings,
    pixel_limits,
    reading_options,
    worker_settings,
)
from bye_core.cli.output import DONE, Report, verdict_code
from bye_core.detect import DEFAULT
from bye_core.pipeline.cleaning import BASELINES, UNTIL, Cleaning
from bye_core.pipeline.cleaning_folder import read_record
from bye_core.text import MEASURES, clip, measured
from bye_core.train import wording
from bye_core.train.settings import CARD, FinetuneSettings

QUESTION_LENGTH = 100  # characters of a question in the printed text


def add_finetune(parser: ArgumentParser) -> None:
    add_model(parser, adapter=False)
    add_format(parser)
    add_out(parser, "the folder for the adapter")
    parser.add_argument(
        "--here", action="store_true", help="train in this process instead of a child process; needed for torchrun"
    )
    parser.add_argument("--dry-run", action="store_true", help="report the data and the memory needed; do not train")
    add_finetune_settings(parser)
    parser.epilog, parser.formatter_class = wording.TORCHRUN, argparse.RawDescriptionHelpFormatter


def run_finetune(args: Namespace, report: Report) -> int:
    settings = finetune_settings(args)
    if args.dry_run:
        facts = pipeline.preflight(args.model, args.data, settings, reading=reading_options(args))
        if settings.fsdp:
            facts["fsdp"]["start"] = torchrun_command(args, settings, facts["fsdp"]["processes"])
        report.result(facts, wording.table(facts), wording.left_out(facts))
        return DONE
    if args.here:
        card = pipeline.finetune_here(
            args.model, args.data, args.out, settings, stop=report.stop, reading=reading_options(args)
        )
        if card:
            report.result({"adapter": str(args.out), "steps": card["steps"], "loss": card["loss"]} | skipped(card))
        return DONE
    last = report.follow(
        pipeline.finetune(args.model, args.data, args.out, settings, reading=reading_options(args)), "steps"
    )
    facts = {name: last.facts[name] for name in ("loss", "seconds")}
    card = json.loads((args.out / CARD).read_text(encoding="utf-8"))
    report.result({"adapter": str(args.out), "steps": last.done} | facts | skipped(card))
    return DONE


def torchrun_command(args: Namespace, settings: FinetuneSettings, processes: int) -> str:
    """Return the command that runs the training in several processes of one machine."""
    words = pipeline.finetune_arguments(args.model, args.data, args.out, settings, reading_options(args))
    return shlex.join(["torchrun", "--standalone", f"--nproc_per_node={processes}", "-m", "bye_core", *words])


def skipped(card: Mapping[str, Any]) -> dict[str, int]:
    """Return how many records a fine-tuning did not use, and how many of them have no image; {} if it used all."""
    return {name: card[name] for name in ("left_out", "text_only") if card.get(name)}


def add_evaluate(parser: ArgumentParser) -> None:
    add_model(parser)
    add_format(parser)
    add_attack(parser, None)
    add_metric(parser)
    add_device_map(parser)
    add_pixels(parser, "those of the adapter's training, else those of the model's folder")
    add_workers(parser)
    parser.add_argument("--out", type=Path, help="a file for the answers: one JSON line per sample")


def run_evaluate(args: Namespace, report: Report) -> int:
    attack, seed = known_attack(args, args.seed)
    options = {
        "device": device_of(args),
        "dtype": args.dtype,
        "metric": args.metric,
        "out": args.out,
        "reading": reading_options(args),
        "pixels": pixel_limits(args),
        "workers": worker_settings(args),
    }
    steps = pipeline.evaluate(args.model, args.data, args.adapter, attack, seed, **options)
    facts = report.follow(steps, "answers").facts
    counts = {name: facts[name] for name in ("samples", "left_out", "failed")}
    report.result(facts, counts | measures(facts), question_lines(facts))
    return DONE


def measures(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the measures as text, by label, with their intervals."""
    return {label: measured(facts, key) for key, (label, _) in MEASURES.items() if facts.get(key) is not None}


def measures_line(facts: Mapping[str, Any]) -> str:
    return "  ".join(f"{label} {value}" for label, value in measures(facts).items())


def question_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per kind of question, with its measures."""
    for question, group in facts["by_question"].items():
        yield f"{group['samples']:>7}  {clip(question, QUESTION_LENGTH)}\n         {measures_line(group)}"


def add_clean(parser: ArgumentParser) -> None:
    add_model(parser, adapter=False)
    add_format(parser)
    add_out(parser, "the folder for everything that the cleaning produces")
    add_method(parser)
    add_finetune_settings(parser, torchrun=False)
    parser.add_argument("--run", type=Path, help="the folder of the scan (default: `run` in --out)")
    parser.add_argument("--test", help="a data set with reference answers on which to measure every model")
    add_attack(parser, None, seed=False)
    add_metric(parser)
    parser.add_argument(
        "--baseline", choices=BASELINES, nargs="+", default=[],
        help="random: for comparison, also fine-tune without a random 20%% of the samples",
    )  # fmt: skip
    add_workers(parser, "the model is scanned and measured")
    parser.add_argument(
        "--until", choices=UNTIL, default="report",
        help="detect: stop after the detection and reject nothing; the same command without it resumes",
    )  # fmt: skip


def cleaning_of(args: Namespace) -> Cleaning:
    """Return the settings of the cleaning. Without --method, an unfinished cleaning resumes with its recorded method.

    Raises: SettingError if the options are invalid together.
    """
    settings = finetune_settings(args)
    attack, attack_seed = known_attack(args, settings.seed)
    return Cleaning(
        args.model,
        args.data,
        settings,
        args.method or (read_record(args.out) or {}).get("method", DEFAULT),
        reading=reading_options(args),
        test=args.test,
        attack=attack,
        attack_seed=attack_seed,
        metric=args.metric,
        baselines=tuple(args.baseline),
        seed=settings.seed,
        run=args.run,
        attack_file=args.attack,
        until=args.until,
        workers=worker_settings(args),
    )


def run_clean(args: Namespace, report: Report) -> int:
    facts = report.follow(pipeline.clean(cleaning_of(args), args.out)).facts
    table = {name: value for name, value in facts.items() if name not in ("models", "not_tested")}
    report.result(facts, table, [*facts.get("not_tested", ()), *model_lines(facts["models"])])
    return verdict_code(facts["verdict"], args.fail_on_poison)


def model_lines(models: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per model, with its measures."""
    for name, facts in models.items():
        yield f"{pipeline.MODELS[name]:<32}  {measures_line(facts)}"


FINETUNE = Command(
    "finetune", "fine-tune a model with LoRA; resumes from the last checkpoint after a stop or crash",
    add_finetune, run_finetune,
    after_stop="The last checkpoint is kept. Run the same command to resume.",
)  # fmt: skip
EVALUATE = Command(
    "evaluate", "measure clean performance (CP) and, with --trigger, attack success rate (ASR)",
    add_evaluate, run_evaluate,
)  # fmt: skip
CLEAN = Command(
    "clean",
    "clean a data set with all steps of BYE: fine-tune, scan, detect, reject what is flagged, export, fine-tune again",
    add_clean, run_clean,
    after_stop=RESUMES,
)  # fmt: skip
