"""Chains the stages: the command line and the app both call this package, and so give the same answer.

Long stages are generators of Progress: what they yield is saved already, stopping the loop stops the stage, and
calling again goes on where it stopped. Models are loaded only by the functions that need one.
"""

from bye_core.pipeline.attacking import NoAttackRecorded, NoKeyPicture, plan_attack, preview_poison, read_attack
from bye_core.pipeline.causing import check_causes
from bye_core.pipeline.cleaning import MODELS, Cleaning
from bye_core.pipeline.deciding import (
    NothingDetected,
    UnreadableTruth,
    decide,
    detect_entropies,
    detect_once,
    detect_run,
    last_detection,
    read_truth,
    score_run,
    undo,
)
from bye_core.pipeline.evaluating import evaluate
from bye_core.pipeline.explaining import evidence
from bye_core.pipeline.exporting import ExportPlan, check_unchanged, export_entropies, export_run, plan_export
from bye_core.pipeline.guarding import Guard, guard_detection, guard_one, guard_set, open_guard
from bye_core.pipeline.reporting import report
from bye_core.pipeline.scanning import BATCH, ScanSettings, failed, scan
from bye_core.pipeline.sets import TRUTH, NoSampleReady, check, poison, ready, source_arguments
from bye_core.pipeline.training import finetune, finetune_here, preflight
from bye_core.pipeline.whole import clean
from bye_core.train.settings import FinetuneSettings

__all__ = [
    "BATCH",
    "MODELS",
    "TRUTH",
    "Cleaning",
    "ExportPlan",
    "FinetuneSettings",
    "Guard",
    "NoAttackRecorded",
    "NoKeyPicture",
    "NoSampleReady",
    "NothingDetected",
    "ScanSettings",
    "UnreadableTruth",
    "check",
    "check_causes",
    "check_unchanged",
    "clean",
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
    "finetune_here",
    "guard_detection",
    "guard_one",
    "guard_set",
    "last_detection",
    "open_guard",
    "plan_attack",
    "plan_export",
    "poison",
    "preflight",
    "preview_poison",
    "read_attack",
    "read_truth",
    "ready",
    "report",
    "scan",
    "score_run",
    "source_arguments",
    "undo",
]
