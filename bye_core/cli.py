"""The command line: one subcommand a stage, `--json` for machines. All work is done in bye_core.pipeline."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

from bye_core import pipeline
from bye_core.arguments import build_parser
from bye_core.errors import ByeError
from bye_core.records import Detection, Fault, Progress
from bye_core.train.settings import FinetuneSettings

DONE, FAILED, POISONED = 0, 1, 3


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
    for facts in pipeline.check(args.data, args.format, dict(args.columns or [])):
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
        pipeline.finetune_here(args.model, args.data, args.out, settings)
        return DONE
    last = follow(pipeline.finetune(args.model, args.data, args.out, settings), "steps")
    show(
        {"adapter": str(args.out), "steps": last.done, "loss": last.facts["loss"], "seconds": last.facts["seconds"]},
        args.json,
    )
    return DONE


def run_scan(args: argparse.Namespace) -> int:
    settings = pipeline.ScanSettings(args.batch, args.device, args.dtype)
    columns = dict(args.columns or [])
    steps = pipeline.scan(args.model, args.data, args.run, args.adapter, settings, args.format, columns)
    last = follow(steps, "samples")
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
    undecided = manifest["counts"]["undecided_flagged"]
    if undecided and not args.json:
        print(
            f"{undecided} of the samples kept {'was' if undecided == 1 else 'were'} flagged and not decided on. "
            f"To take them out: `python -m bye_core decide --run {args.run} --reject-flagged`, then export again."
        )
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
    steps = pipeline.clean(args.model, args.data, args.out, finetune_settings(args), args.method)
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


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": run_check,
    "poison": run_poison,
    "finetune": run_finetune,
    "scan": run_scan,
    "detect": run_detect,
    "decide": run_decide,
    "export": run_export,
    "evaluate": run_evaluate,
    "score": run_score,
    "clean": run_clean,
    "demo": run_demo,
}


def main(arguments: list[str] | None = None) -> int:
    args = build_parser(__doc__).parse_args(arguments)
    try:
        return COMMANDS[args.command](args)
    except ByeError as error:
        print(f"error: {error.problem}\n{error.remedy}", file=sys.stderr)
        return FAILED
