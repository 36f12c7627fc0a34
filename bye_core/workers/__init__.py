"""Runs a model over many batches, in this process or in workers: Ray actors of this machine or of a Ray cluster."""

from bye_core.workers.open import InProcess, Runner, open_model
from bye_core.workers.settings import ONE_PROCESS, WorkerSettings
from bye_core.workers.source import ModelFacts, ModelSource
from bye_core.workers.task import Task

__all__ = ["ONE_PROCESS", "InProcess", "ModelFacts", "ModelSource", "Runner", "Task", "WorkerSettings", "open_model"]
