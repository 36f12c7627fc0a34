"""The command line: one subcommand a stage, `--json` for machines. All work is done in bye_core.pipeline.

Exit codes: 0 done; 1 an error, with its remedy on standard error; 3 poisoning found (`--fail-on-poison`); 130 stopped
by Ctrl-C, 143 by SIGTERM: a scan ends where its batch is saved, everything else at once; what was saved is kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator

from bye_core import pipeline
from bye_core.attacks.poison import Only
from bye_core.cli.attack_options import attack_from
from bye_core.cli.evidence import run_evidence
from bye_core.cli.judging import run_bench, run_clean, run_evaluate, run_guard, run_report
from bye_core.cli.options import finetune_settings, source
from bye_core.cli.output import DONE, FAILED, POISONED, REPORTS, Report
from bye_core.cli.parser import build_parser
from bye_core.detect import DEFAULT, PAPER
from bye_core.detect.result import detection_object
from bye_core.errors import ByeError
from bye_core.process import Stopped, StopRequest, tether
from bye_core.records import Detection, Fault, Progress
from bye_core.train import wording

# How to go on after a stop.
GO_ON = {
    "scan": "What was scanned is kept: the same command goes on from there.",
    "clean": "What was finished is kept: the same command goes on from there.",
    "bench-detect": "What was finished is kept: the same command goes on from there.",
    "demo": "The same command with --out FOLDER goes on where an earlier one with that folder stopped.",
    "evidence": "What was asked is kept: the same command goes on from there.",
    "finetune": "Its last checkpoint is kept: the same command goes on from there.",
}
START_AGAIN = "Nothing half done is kept: the same command starts again."


def fault_line(fault: Fault) -> str:
    return f"record {fault.index}  {fault.id}  {fault.kind}: {fault.problem} {fault.remedy}"


# --- one function a subcommand ---------------------------------------------------------------------------------


def run_check(args: argparse.Namespace, report: Report) -> int:
    faults: list[Fault] = []

    def gathered(steps: Iterable[Progress]) -> Iterator[Progress]:
        for step in steps:
            faults.extend(step.facts["faults"])
            yield step

    last = report.follow(gathered(pipeline.check(args.data, **source(args))))
    summary = last.facts["summary"]
    lines = [f"{'refused' if fault.fatal else 'warning'}  {fault_line(fault)}" for fault in faults]
    report.result({**summary, "faults": faults}, summary, lines)
    return FAILED if any(fault.fatal for fault in faults) else DONE


def run_poison(args: argparse.Namespace, report: Report) -> int:
    only = Only(args.only_answer, args.only_question)
    how = (attack_from(args), args.rate, args.seed, only, args.encoding)
    last = report.follow(pipeline.poison(args.data, args.out, *how, **source(args)))
    report.result({"written": str(args.out), "samples": last.total, **last.facts})
    return DONE


def run_finetune(args: argparse.Namespace, report: Report) -> int:
    settings = finetune_settings(args)
    if args.dry_run:
        facts = pipeline.preflight(args.model, args.data, settings, **source(args))
        report.result(facts, wording.table(facts), wording.left_out(facts))
        return DONE
    if args.here:
        card = pipeline.finetune_here(args.model, args.data, args.out, settings, stop=report.stop, **source(args))
        if card:
            report.result({"adapter": str(args.out), "steps": card["steps"], "loss": card["loss"]})
        return DONE
    last = report.follow(pipeline.finetune(args.model, args.data, args.out, settings, **source(args)), "steps")
    report.result(
        {"adapter": str(args.out), "steps": last.done, "loss": last.facts["loss"], "seconds": last.facts["seconds"]}
    )
    return DONE


def run_scan(args: argparse.Namespace, report: Report) -> int:
    settings = pipeline.ScanSettings(args.batch, args.device, args.dtype, args.answers)
    steps = pipeline.scan(args.model, args.data, args.run, args.adapter, settings, **source(args))
    last = report.follow(steps)
    failed = pipeline.failed(args.run)
    for fault in failed:
        sys.stderr.write(f"not scanned  {fault_line(fault)}\n")
    found = {"run": str(args.run), "samples": last.total, "scanned": last.facts["scored"], "failed": len(failed)}
    if args.detect and last.facts["scored"]:
        try:
            detection = pipeline.detect_once(args.run)
            found |= {"verdict": detection.verdict, "flagged": len(detection.flagged_ids)}
        except ByeError as error:  # the scan is done all the same
            sys.stderr.write(f"not examined  {error}\n")
    report.result(found)
    return DONE


def run_detect(args: argparse.Namespace, report: Report) -> int:
    own = {
        name: value
        for name in ("bsi", "tau", "cluster", "threshold", "layers", "select")
        if (value := getattr(args, name)) is not None
    }
    method, settings = args.method or (PAPER if args.entropy or own else DEFAULT), own | dict(args.setting or [])
    if args.entropy:
        detection = pipeline.detect_entropies(args.entropy, method, **settings)
    else:
        detection = pipeline.detect_run(args.run, method, **settings)
    report.result(detection_object(detection), {}, detection_lines(detection))
    return POISONED if args.fail_on_poison and detection.verdict == "poisoned" else DONE


def detection_lines(detection: Detection) -> Iterator[str]:
    if any(report.mixture for report in detection.layers):
        yield "layer    low mode         high mode        share low    BSI     KL"
    for report in detection.layers:
        if report.mixture is None:
            yield from [f"{report.layer:>5}  {report.note}"] if report.note else []
            continue
        mixture = report.mixture
        modes = "  ".join(f"{m:6.3f} ± {s:5.3f}" for m, s in zip(mixture.means, mixture.stds, strict=True))
        mark = "  sensitive" if report.sensitive else ""
        yield f"{report.layer:>5}  {modes}  {mixture.weights[0]:9.3f}  {report.bsi:6.2f}  {report.kl:6.2f}{mark}"
    yield from detection.reasons
    verdict = f"poisoning found: {int(detection.flagged.sum())} of {len(detection.ids)} flagged"
    yield verdict if detection.verdict == "poisoned" else "no evidence of poisoning"


def run_decide(args: argparse.Namespace, report: Report) -> int:
    if args.undo:
        report.result({"withdrawn": pipeline.undo(args.run)})
        return DONE
    choices = dict(args.set or [])
    recorded = pipeline.decide(args.run, choices, args.reject_flagged, args.reviewer, args.note)
    report.result({"recorded": recorded})
    return DONE


def run_export(args: argparse.Namespace, report: Report) -> int:
    if args.format == "bye-entropy":
        report.result({"written": str(pipeline.export_entropies(args.run, args.out))})
        return DONE
    manifest = pipeline.export_run(args.run, args.out, args.format, args.data)
    undecided, lines = manifest["counts"]["undecided_flagged"], []
    if undecided:
        lines = [
            f"{undecided} of the samples kept {'was' if undecided == 1 else 'were'} flagged and not decided on. "
            f"To take them out: `python -m bye_core decide --run {args.run} --reject-flagged`, then export again."
        ]
    report.result(manifest, {"written": str(args.out), **manifest["counts"]}, lines)
    return DONE


def run_score(args: argparse.Namespace, report: Report) -> int:
    report.result(pipeline.score_run(args.run, args.truth))
    return DONE


def run_demo(args: argparse.Namespace, report: Report) -> int:
    if args.make:
        from bye_core.demo.make import make_demo

        report.follow(make_demo(args.make, args.seed))
        report.result({"made": str(args.make)})
        return DONE
    from bye_core.demo.tour import table, tour

    facts = report.follow(tour(args.out)).facts
    report.result(facts, {}, [table(facts)])
    return DONE


COMMANDS: dict[str, Callable[[argparse.Namespace, Report], int]] = {
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
    "report": run_report,
    "evidence": run_evidence,
    "guard": run_guard,
    "demo": run_demo,
    "bench-detect": run_bench,
}


def main(arguments: list[str] | None = None) -> int:
    args = build_parser(__doc__).parse_args(arguments)
    tether()
    with StopRequest() as stop, REPORTS[args.progress](args.json, stop) as report:
        try:
            return COMMANDS[args.command](args, report)
        except ByeError as error:
            report.error(error)
            return FAILED
        except Stopped as stopped:
            report.stopped(GO_ON.get(args.command, START_AGAIN))
            return stopped.code
        except Exception as error:
            report.crashed(error)
            raise
