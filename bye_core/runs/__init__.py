"""Stores a run: the scanned attention, the last detection, the decisions and the causal checks."""

from bye_core.runs.decision_file import Batch
from bye_core.runs.errors import RunMismatch, RunNotWritable
from bye_core.runs.home import home, hosted, list_runs, new_run_path, runs_folder
from bye_core.runs.run import Counts, Run, edit_settings, is_run, stamps
from bye_core.runs.settings import RunSettings, relative_paths, versions

__all__ = [
    "Batch",
    "Counts",
    "Run",
    "RunMismatch",
    "RunNotWritable",
    "RunSettings",
    "edit_settings",
    "home",
    "hosted",
    "is_run",
    "list_runs",
    "new_run_path",
    "relative_paths",
    "runs_folder",
    "stamps",
    "versions",
]
