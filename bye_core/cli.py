"""The command line: one subcommand a stage, `--json` for machines. All work is done in bye_core.pipeline."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bye_core import pipeline
from bye_core.attacks import TRIGGERS
from bye_core.data import FORMATS
from bye_core.data.compose import ENCODINGS
from bye_core.detect import DETECTORS
from bye_core.errors import ByeError
from bye_core.records import Detection, Fault, Progress
from bye_core.train.settings import FinetuneSettings

DONE, FAILED, POISONED = 0, 1, 3
TARGET = "Backdoor Attack!"


def follow(steps: Iterable[Progress], unit: str = "samples") -> Progress | None:
    """Run long stages to their end, each behind a bar with rate and time left; returns the last item."""
    last, bar = None, None
    try:
        for step in steps:
            if bar is None or last.stage != step.stage:
                if bar is not None:
                    bar.close()
                bar = tqdm(desc=step.stage, unit=f" {unit}", total=step.total, dynamic_ncols=True, file=sys.stderr)
            bar.total = step.total
            bar.set_postfix(
                {name: step.facts[name] for name in ("loss", "failed") if step.facts.get(name)}, refresh=False
            )
            bar.update(step.done - bar.n)
            last = step
    finally:
        if bar is not None:
            bar.close()
    return last


def show(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(value, ensure_ascii=False))
        return
    width = max(map(len, value), default=0)
    for name, entry in value.items():
        print(
            f"{name.replace('_', ' '):<{width}}  {entry:.4f}"
            if isinstance(entry, float)
            else f"{name.replace('_', ' '):<{width}}  {entry}"
        )


def fault_line(fault: Fault) -> str:
    return f"record {fault.index}  {fault.id}  {fault.kind}: {fault.problem} {fault.remedy}"


# --- one function a subcommand ---------------------------------------------------------------------------------


def run_check(args: argparse.Namespace) -> int:
    faults: list[Fault] = []
    facts = None
    for facts in pipeline.check(args.data, args.format):
        faults += facts.facts["faults"]
    summary = dict(facts.facts["summary"]) if facts else {}
    if args.json:
        print(json.dumps({**summary, "faults": [dataclasses.asdict(f) for f in faults]}, ensure_ascii=False))
        return FAILED if any(f.fatal for f in faults) else DONE
    show(summary, as_json=False)
    for fault in faults:
        print(f"{'refused' if fault.fatal else 'warning'}  {fault_line(fault)}")
    return FAILED if any(f.fatal for f in faults) else DONE


def run_poison(args: argparse.Namespace) -> int:
    last = follow(
        pipeline.poison(args.data, args.out, args.trigger, args.rate, args.target, args.seed, args.size, args.encoding),
        "samples",
    )
    show({"written": str(args.out), "samples": last.total, **last.facts}, args.json)
    return DONE


def finetune_settings(args: argparse.Namespace) -> FinetuneSettings:
    return FinetuneSettings(**{field.name: getattr(args, field.name) for field in dataclasses.fields(FinetuneSettings)})


def run_finetune(args: argparse.Namespace) -> int:
    settings = finetune_settings(args)
    if args.here:
        pipeline.finetune_here(args.model, args.data, args.out, settings, args.device, args.dtype)
        return DONE
    last = follow(pipeline.finetune(args.model, args.data, args.out, settings, args.device, args.dtype), "steps")
    show(
        {"adapter": str(args.out), "steps": last.done, "loss": last.facts["loss"], "seconds": last.facts["seconds"]},
        args.json,
    )
    return DONE


def run_scan(args: argparse.Namespace) -> int:
    settings = pipeline.ScanSettings(args.batch, args.device, args.dtype)
    last = follow(pipeline.scan(args.model, args.data, args.run, args.adapter, settings, args.format), "samples")
    failed = pipeline.failed(args.run)
    for fault in failed:
        print(f"not scanned  {fault_line(fault)}", file=sys.stderr)
    show(
        {"run": str(args.run), "samples": last.total, "scanned": last.facts["scored"], "failed": len(failed)}, args.json
    )
    return DONE


def run_detect(args: argparse.Namespace) -> int:
    settings = {
        name: value
        for name in ("bsi", "tau", "cluster", "threshold", "layers", "select")
        if (value := getattr(args, name)) is not None
    }
    if args.entropy:
        detection = pipeline.detect_entropies(args.entropy, args.method, **settings)
    else:
        detection = pipeline.detect_run(args.run, args.method, **settings)
    if args.json:
        print(json.dumps(detection_object(detection), ensure_ascii=False))
    else:
        print_detection(detection)
    return POISONED if args.fail_on_poison and detection.verdict == "poisoned" else DONE


def detection_object(detection: Detection) -> dict[str, Any]:
    """The contract's JSON object of a detection."""
    return {
        "verdict": detection.verdict,
        "flagged": list(detection.flagged_ids),
        "scores": dict(zip(detection.ids, detection.scores.tolist(), strict=True)),
        "layers": [_layer_object(report) for report in detection.layers],
        "method": detection.method,
        "settings": dict(detection.settings),
        "reasons": list(detection.reasons),
    }


def _layer_object(report: Any) -> dict[str, Any]:
    value = dataclasses.asdict(report)
    return {name: None if isinstance(entry, float) and entry != entry else entry for name, entry in value.items()}


def print_detection(detection: Detection) -> None:
    print("layer    low mode         high mode        share low    BSI     KL")
    for report in detection.layers:
        if report.mixture is None:
            print(f"{report.layer:>5}  {report.note}")
            continue
        mixture = report.mixture
        modes = "  ".join(f"{m:6.3f} ± {s:5.3f}" for m, s in zip(mixture.means, mixture.stds, strict=True))
        mark = "  sensitive" if report.sensitive else ""
        print(f"{report.layer:>5}  {modes}  {mixture.weights[0]:9.3f}  {report.bsi:6.2f}  {report.kl:6.2f}{mark}")
    for reason in detection.reasons:
        print(reason)
    verdict = f"poisoning found: {int(detection.flagged.sum())} of {len(detection.ids)} flagged"
    print(verdict if detection.verdict == "poisoned" else "no evidence of poisoning")


def run_decide(args: argparse.Namespace) -> int:
    if args.undo:
        show({"withdrawn": pipeline.undo(args.run)}, args.json)
        return DONE
    choices = dict(args.set or [])
    recorded = pipeline.decide(args.run, choices, args.reject_flagged, args.reviewer, args.note)
    show({"recorded": recorded}, args.json)
    return DONE


def run_export(args: argparse.Namespace) -> int:
    if args.format == "bye-entropy":
        show({"written": str(pipeline.export_entropies(args.run, args.out))}, args.json)
        return DONE
    manifest = pipeline.export_run(args.run, args.out, args.format, args.data)
    show(manifest if args.json else {"written": str(args.out), **manifest["counts"]}, args.json)
    return DONE


def run_evaluate(args: argparse.Namespace) -> int:
    steps = pipeline.evaluate(
        args.model, args.data, args.adapter, args.trigger, args.target, args.size, args.seed, args.device, args.dtype
    )
    facts = dict(follow(steps, "answers").facts)
    groups = facts.pop("by_question") if not args.json else None
    show(facts, args.json)
    for question, group in (groups or {}).items():
        print(f"  CP {group['cp']:.4f} of {group['samples']:>5}  {question}")
    return DONE


def run_score(args: argparse.Namespace) -> int:
    show(pipeline.score_run(args.run, args.truth), args.json)
    return DONE


def run_clean(args: argparse.Namespace) -> int:
    steps = pipeline.clean(
        args.model, args.data, args.out, finetune_settings(args), args.method, args.device, args.dtype
    )
    facts = dict(follow(steps).facts)
    show(facts, args.json)
    return POISONED if args.fail_on_poison and facts["verdict"] == "poisoned" else DONE


def run_demo(args: argparse.Namespace) -> int:
    if args.make:
        from bye_core.demo.make import make_demo

        follow(make_demo(args.make, args.seed))
        return DONE
    from bye_core.demo.tour import table, tour

    facts = follow(tour(args.out)).facts
    print(json.dumps(dict(facts)) if args.json else table(facts))
    return DONE


# --- the parser -------------------------------------------------------------------------------------------------


def decision(text: str) -> tuple[str, str]:
    id, _, choice = text.rpartition("=")
    if not id:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=accept, ID=reject or ID=none")
    return id, choice


def layer_list(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of layers such as 14,15,17") from None


def add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: the fastest there is)")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16")


def add_model(parser: argparse.ArgumentParser, adapter: bool = True) -> None:
    parser.add_argument("--model", required=True, help="a folder, or a model id of the Hugging Face hub")
    if adapter:
        parser.add_argument("--adapter", help="a PEFT adapter for it: a folder or a hub id")
    add_machine(parser)


def add_finetune_settings(parser: argparse.ArgumentParser) -> None:
    for field in dataclasses.fields(FinetuneSettings):
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default, help=f"default {field.default}")


def add_trigger(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument("--trigger", choices=list(TRIGGERS), default=default)
    parser.add_argument("--size", type=float, default=1 / 16, help="side of a square / shorter side of the picture")
    parser.add_argument("--target", default=TARGET, help="the attacker's answer")
    parser.add_argument("--seed", type=int, default=0)


def add_detect_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", choices=list(DETECTORS), default="bye")
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


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bye_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run_command=run)
        sub.add_argument("--json", action="store_true", help="print one JSON object")
        return sub

    sub = command("check", run_check, "validate a data set: every fault, by sample, with its remedy")
    sub.add_argument("data")
    sub.add_argument("--format", choices=list(FORMATS))

    sub = command("poison", run_poison, "plant a trigger and an attacker's answer in a share of a data set")
    sub.add_argument("data")
    add_trigger(sub, "patch")
    sub.add_argument("--rate", type=float, default=0.1)
    sub.add_argument("--encoding", choices=list(ENCODINGS), default="jpeg", help="of all pictures, poisoned or not")
    sub.add_argument("--out", type=Path, required=True)

    sub = command("finetune", run_finetune, "LoRA fine-tuning in a child process")
    add_model(sub, adapter=False)
    sub.add_argument("--data", required=True)
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--here", action="store_true", help="train in this process instead of a child")
    add_finetune_settings(sub)

    sub = command("scan", run_scan, "read where the first answer token looks, for every sample; resumable")
    add_model(sub)
    sub.add_argument("--data", required=True)
    sub.add_argument("--format", choices=list(FORMATS))
    sub.add_argument("--run", type=Path, required=True)
    sub.add_argument("--batch", type=int, default=0, help="samples a forward pass (default: by the machine)")

    sub = command("detect", run_detect, "find the poisoned samples of a scanned run")
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path)
    source.add_argument("--entropy", type=Path, help="a BYE entropy JSONL instead of a run")
    add_detect_settings(sub)
    sub.add_argument("--fail-on-poison", action="store_true", help="exit with 3 where poisoning is found")

    sub = command("decide", run_decide, "accept (stays in the clean set) or reject (goes) samples")
    sub.add_argument("--run", type=Path, required=True)
    sub.add_argument("--reject-flagged", action="store_true", help="reject what is flagged and not decided by hand")
    sub.add_argument("--set", type=decision, nargs="+", metavar="ID=CHOICE", help="ID=accept, ID=reject or ID=none")
    sub.add_argument("--undo", action="store_true", help="withdraw the last call's decisions")
    sub.add_argument("--reviewer", default=os.environ.get("USER", ""))
    sub.add_argument("--note", default="")

    sub = command("export", run_export, "write the cleaned data set")
    sub.add_argument("--run", type=Path, required=True)
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--format", default="same", choices=["same", *FORMATS, "bye-entropy"])
    sub.add_argument("--data", help="where the data set is now, if it has moved since the scan")

    sub = command("evaluate", run_evaluate, "clean performance and, with --trigger, attack success rate")
    add_model(sub)
    sub.add_argument("--data", required=True)
    add_trigger(sub, None)

    sub = command("score", run_score, "precision, recall, F1, AUC of the last detection")
    sub.add_argument("--run", type=Path, required=True)
    sub.add_argument("--truth", type=Path, required=True)

    sub = command("clean", run_clean, "the whole of Algorithm 1: fine-tune, scan, detect, export, fine-tune again")
    add_model(sub, adapter=False)
    sub.add_argument("--data", required=True)
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--method", choices=list(DETECTORS), default="bye")
    sub.add_argument("--fail-on-poison", action="store_true", help="exit with 3 where poisoning is found")
    add_finetune_settings(sub)

    sub = command("demo", run_demo, "the shipped demo, end to end, with its numbers")
    sub.add_argument("--out", type=Path, help="where to work (default: a new folder in BYE_HOME)")
    sub.add_argument("--make", type=Path, metavar="DIR", help="make the demo's parts anew, from a seed, into DIR")
    sub.add_argument("--seed", type=int, default=0)
    return parser


def main(arguments: list[str] | None = None) -> int:
    args = build_parser().parse_args(arguments)
    try:
        return args.run_command(args)
    except ByeError as error:
        print(f"error: {error.problem}\n{error.remedy}", file=sys.stderr)
        return FAILED
