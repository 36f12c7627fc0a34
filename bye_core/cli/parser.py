"""What the command line takes: one function a subcommand; options that several share are defined once."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bye_core.cli.attack_options import add_attack
from bye_core.cli.bench_options import add_bench
from bye_core.cli.output import REPORTS
from bye_core.data import FORMATS
from bye_core.data.llava_set import ENCODINGS
from bye_core.detect import DEFAULT, DETECTORS
from bye_core.evaluate.measures import METRICS
from bye_core.pipeline.cleaning import BASELINES
from bye_core.pipeline.report import EXHIBITS
from bye_core.train.settings import PRESETS, FinetuneSettings
from bye_core.train.wording import PRESET, SETTINGS, TORCHRUN

LONG = (
    "check", "poison", "finetune", "scan", "export", "evaluate", "clean", "evidence", "guard", "demo", "bench-detect",
)  # fmt: skip
PROGRESS = "how a person or a program can follow: a bar, or JSON lines on standard output, the result as the last"
MACHINE = {
    "device": "auto, cpu, cuda, cuda:1, mps (default: the fastest there is)",
    "dtype": "auto, float32, bfloat16, float16",
}


def build_parser(description: str | None = None) -> ArgumentParser:
    """The parser of all subcommands; `command` of what it parses is the subcommand's name."""
    parser = ArgumentParser(prog="python -m bye_core", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (help, add_options) in COMMANDS.items():
        sub = commands.add_parser(name, help=help, description=help)
        sub.add_argument("--json", action="store_true", help="print one JSON object")
        if name in LONG:
            sub.add_argument("--progress", choices=list(REPORTS), default="bar", help=PROGRESS)
        else:
            sub.set_defaults(progress="none")
        add_options(sub)
    return parser


def decision(text: str) -> tuple[str, str]:
    """ID=CHOICE -> (ID, CHOICE); the id itself may hold a "="."""
    id, _, choice = text.rpartition("=")
    if not id:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=accept, ID=reject or ID=none")
    return id, choice


def column(text: str) -> tuple[str, str]:
    """NAME=YOURS -> (NAME, YOURS)."""
    name, _, yours = text.partition("=")
    if not name or not yours:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=YOURS, such as question=my_question")
    return name, yours


def setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE -> (NAME, value), the value read as JSON where it is JSON."""
    name, _, value = text.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as heads=4")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def layer_list(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of layers such as 14,15,17") from None


# --- groups of options -----------------------------------------------------------------------------------------


def add_model(parser: ArgumentParser, adapter: bool = True) -> None:
    parser.add_argument("--model", required=True, help="a folder, or a model id of the Hugging Face hub")
    if adapter:
        parser.add_argument("--adapter", help="a PEFT adapter for it: a folder or a hub id")
    for name, help in MACHINE.items():
        parser.add_argument(f"--{name}", default="auto", help=help)
    parser.add_argument("--data", required=True)


def add_run(parser: ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True)


def add_out(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)


def add_format(parser: ArgumentParser) -> None:
    parser.add_argument("--format", choices=list(FORMATS))
    parser.add_argument(
        "--columns", type=column, nargs="+", metavar="NAME=YOURS", help="what the data set calls the format's columns"
    )


def add_finetune_settings(parser: ArgumentParser) -> None:
    """A preset, and one option a field of FinetuneSettings that goes before it; those of the machine come with the
    model. What is not given is not in the namespace."""
    parser.add_argument("--preset", choices=list(PRESETS), default=next(iter(PRESETS)), help=PRESET)
    for field in dataclasses.fields(FinetuneSettings):
        flag = "--" + field.name.replace("_", "-")
        if field.name in MACHINE:
            continue
        how = {"default": argparse.SUPPRESS, "help": f"{SETTINGS[field.name]} (default {field.default})"}
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **how)
        else:
            parser.add_argument(flag, type=type(field.default), **how)


def add_metric(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--metric", choices=METRICS, default="auto", help="of the right answers: short ones exact, captions by CIDEr"
    )


def add_method(parser: ArgumentParser, usual: str = "") -> None:
    """`usual`: more about the default, in words."""
    methods = "; ".join(f"{name}: {detector.title}" for name, detector in DETECTORS.items())
    parser.add_argument("--method", choices=list(DETECTORS), help=f"{methods} (default: {DEFAULT}{usual})")
    parser.add_argument("--fail-on-poison", action="store_true", help="exit with 3 where poisoning is found")


def add_detect_settings(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--bsi", choices=["paper", "reference"], help="how a layer is judged: the paper's rule or the authors' code"
    )
    parser.add_argument("--tau", type=float, help="a layer is sensitive from this BSI on (paper: 2.0)")
    parser.add_argument("--cluster", choices=["gmm", "kmeans", "threshold"], help="the last step (paper: gmm)")
    parser.add_argument("--threshold", type=float, help="nats, for --cluster threshold (paper's ablation: 4.5)")
    parser.add_argument("--layers", type=layer_list, help="choose the layers by hand: 14,15,17")
    parser.add_argument(
        "--no-select", dest="select", action="store_false", default=None, help="ablation: average all layers"
    )
    own = "; ".join(
        f"{name}: {', '.join(field.name for field in dataclasses.fields(detector.settings))}"
        for name, detector in DETECTORS.items()
    )
    parser.add_argument("--setting", type=setting, nargs="+", metavar="NAME=VALUE", help=f"of any method. {own}")


# --- one function a subcommand ---------------------------------------------------------------------------------


def check(parser: ArgumentParser) -> None:
    parser.add_argument("data")
    add_format(parser)


def poison(parser: ArgumentParser) -> None:
    parser.add_argument("data")
    add_format(parser)
    add_attack(parser, "patch")
    group = parser.add_argument_group("which samples")
    group.add_argument("--rate", type=float, default=0.1, help="share of all samples that is poisoned (default: 0.1)")
    group.add_argument("--only-answer", default="", metavar="TEXT", help="one class: samples with this answer")
    group.add_argument(
        "--only-question", default="", metavar="TEXT", help="one question type: these words are in the question"
    )
    parser.add_argument("--encoding", choices=list(ENCODINGS), default="jpeg", help="of all pictures, poisoned or not")
    add_out(parser)


def finetune(parser: ArgumentParser) -> None:
    add_model(parser, adapter=False)
    add_format(parser)
    add_out(parser)
    parser.add_argument("--here", action="store_true", help="train in this process instead of a child; with torchrun")
    parser.add_argument("--dry-run", action="store_true", help="tell what it would find and need, and train nothing")
    add_finetune_settings(parser)
    parser.epilog, parser.formatter_class = TORCHRUN, argparse.RawDescriptionHelpFormatter


def scan(parser: ArgumentParser) -> None:
    add_model(parser)
    add_format(parser)
    add_run(parser)
    parser.add_argument("--batch", type=int, default=0, help="samples a forward pass (default: by the machine)")
    parser.add_argument(
        "--answers",
        action="store_true",
        help="also read how likely each answer is, before and after fine-tuning, in two more passes: "
        "`detect` is surer then, and --method loss needs it",
    )
    parser.add_argument(
        "--detect",
        action="store_true",
        help=f"then find the poisoned samples ({DEFAULT}) where nobody has, or not in all",
    )


def detect(parser: ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path)
    source.add_argument("--entropy", type=Path, help="a BYE entropy JSONL instead of a run")
    add_method(parser, "; bye for a file of entropies, and where one of its own options is given")
    add_detect_settings(parser)


def decide(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--reject-flagged", action="store_true", help="reject what is flagged and not decided by hand")
    parser.add_argument("--set", type=decision, nargs="+", metavar="ID=CHOICE", help="ID=accept, ID=reject or ID=none")
    parser.add_argument("--undo", action="store_true", help="withdraw the last call's decisions")
    parser.add_argument("--reviewer", default=os.environ.get("USER", ""))
    parser.add_argument("--note", default="")


def export(parser: ArgumentParser) -> None:
    add_run(parser)
    add_out(parser)
    parser.add_argument("--format", default="same", choices=["same", *FORMATS, "bye-entropy"])
    parser.add_argument("--data", help="where the data set is now, if it has moved since the scan")


def evaluate(parser: ArgumentParser) -> None:
    add_model(parser)
    add_format(parser)
    add_attack(parser, None)
    add_metric(parser)
    parser.add_argument("--out", type=Path, help="a file for the answers, one JSON line a sample")


def score(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--truth", type=Path, required=True)


def clean(parser: ArgumentParser) -> None:
    add_model(parser, adapter=False)
    add_format(parser)
    add_out(parser)
    add_method(parser)
    add_finetune_settings(parser)
    parser.add_argument("--run", type=Path, help="where the scan goes (default: the folder `run` in --out)")
    parser.add_argument("--test", help="a set with right answers, to measure every model on")
    add_attack(parser, None, seed=False)
    add_metric(parser)
    parser.add_argument(
        "--baseline", choices=BASELINES, nargs="+", default=[], help="also tune on all but a random 20%%, to compare"
    )


def report(parser: ArgumentParser) -> None:
    add_run(parser)
    add_out(parser)
    parser.add_argument("--data", help="where the data set is now, if it has moved since the scan")
    parser.add_argument("--samples", type=int, default=EXHIBITS, help="flagged samples to show with their pictures")


def evidence(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument(
        "--check", action="store_true", help="ask the model too, with the suspected spot covered; resumable"
    )
    parser.add_argument("--model", help="likewise, and where the scanned model is now, if it has moved")
    parser.add_argument("--adapter", help="likewise the scanned adapter")
    parser.add_argument("--data", help="where the data set is now, if it has moved since the scan")
    parser.add_argument("--device", default="auto", help=MACHINE["device"])


def guard(parser: ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--image", type=Path, help="a picture, to be asked --question about")
    parser.add_argument("--question")
    parser.add_argument("--data", help="a whole set instead of one picture and question")
    add_format(parser)
    parser.add_argument("--out", type=Path, help="with --data: a file for the readings, one JSON line a sample")
    parser.add_argument("--model", help="where the scanned model is now, if it has moved")
    parser.add_argument("--adapter", help="where the scanned adapter is now, if it has moved")
    parser.add_argument("--device", default="auto", help=MACHINE["device"])
    parser.add_argument("--fail-on-poison", action="store_true", help="exit with 3 where something looks triggered")


def demo(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="where to work (default: a new folder in BYE_HOME)")
    parser.add_argument("--make", type=Path, metavar="DIR", help="make the demo's parts anew, from a seed, into DIR")
    parser.add_argument("--seed", type=int, default=0)


COMMANDS: dict[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "check": ("validate a data set: every fault, by sample, with its remedy", check),
    "poison": ("plant a trigger and an attacker's answer in a share of a data set", poison),
    "finetune": ("LoRA fine-tuning; goes on from its last checkpoint when it was stopped or killed", finetune),
    "scan": ("read where the first answer token looks, for every sample; resumable", scan),
    "detect": ("find the poisoned samples of a scanned run", detect),
    "decide": ("accept (stays in the clean set) or reject (goes) samples", decide),
    "export": ("write the cleaned data set", export),
    "evaluate": ("clean performance and, with --trigger, attack success rate", evaluate),
    "score": ("precision, recall, F1, AUC of the last detection", score),
    "clean": ("the whole of Algorithm 1: fine-tune, scan, detect, export, fine-tune again", clean),
    "report": ("one page on a run: what was flagged, why, and how it was made; and the same as JSON", report),
    "evidence": ("why samples are flagged: where they look, what they answer; and, asked, the model", evidence),
    "guard": ("say whether a new picture and question look triggered, by a finished run", guard),
    "demo": ("the shipped demo, end to end, with its numbers", demo),
    "bench-detect": (
        "attacks x rates x question mixes x sizes x seeds, and every detector on each; resumable",
        add_bench,
    ),
}
