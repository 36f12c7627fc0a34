"""Connects the stages. The command line and the app both call this package, so they give the same results.

Long stages are generators of Progress. A stage saves each result before it yields. Closing the generator stops the
stage, and a new call resumes it. Only functions that need a model load a model.
"""

from bye_core.pipeline.causal_check import check_causes
from bye_core.pipeline.check import NoSampleReady, check, load, ready, reopen_set, scanned_path, scanned_reading
from bye_core.pipeline.clean import clean
from bye_core.pipeline.cleaning import Cleaning
from bye_core.pipeline.cleaning_folder import MODELS, CleaningOutline
from bye_core.pipeline.confirm import confirm_detection
from bye_core.pipeline.decide import decide, undo
from bye_core.pipeline.detect import NothingDetected, detect_entropies, detect_once, detect_run, last_detection
from bye_core.pipeline.evaluate import evaluate
from bye_core.pipeline.evidence import evidence
from bye_core.pipeline.export import ExportPlan, check_unchanged, export_entropies, export_run, plan_export
from bye_core.pipeline.finetune import finetune, finetune_arguments, finetune_here, preflight
from bye_core.pipeline.guard import Guard, guard_detection, guard_in_workers, guard_one, guard_set, open_guard
from bye_core.pipeline.inspect import inspect_samples, read_inspections
from bye_core.pipeline.poison import (
    TRUTH,
    NoAttackRecorded,
    NoKeyPicture,
    NoTargetFile,
    attack_arguments,
    plan_attack,
    plan_target,
    poison,
    preview_poison,
    read_attack,
    target_arguments,
)
from bye_core.pipeline.report import report
from bye_core.pipeline.scan import BATCH, ScanSettings, failed, scan
from bye_core.pipeline.score import UnreadableTruth, read_truth, score_run
from bye_core.train.settings import FinetuneSettings, settings_arguments
from bye_core.workers.settings import WorkerSettings

__all__ = [
    "BATCH",
    "MODELS",
    "TRUTH",
    "Cleaning",
    "CleaningOutline",
    "ExportPlan",
    "FinetuneSettings",
    "Guard",
    "NoAttackRecorded",
    "NoKeyPicture",
    "NoSampleReady",
    "NoTargetFile",
    "NothingDetected",
    "ScanSettings",
    "UnreadableTruth",
    "WorkerSettings",
    "attack_arguments",
    "check",
    "check_causes",
    "check_unchanged",
    "clean",
    "confirm_detection",
    "decide",
    "detect_entropies",
    "detect_once",
    "detect_run",
    "evaluate",
    "evidence",
    "export_entropies",
    "export_run",
    "failed",
    "finetune",
    "finetune_arguments",
    "finetune_here",
    "guard_detection",
    "guard_in_workers",
    "guard_one",
    "guard_set",
    "inspect_samples",
    "last_detection",
    "load",
    "open_guard",
    "plan_attack",
    "plan_export",
    "plan_target",
    "poison",
    "preflight",
    "preview_poison",
    "read_attack",
    "read_inspections",
    "read_truth",
    "ready",
    "reopen_set",
    "report",
    "scan",
    "scanned_path",
    "scanned_reading",
    "score_run",
    "settings_arguments",
    "target_arguments",
    "undo",
]
