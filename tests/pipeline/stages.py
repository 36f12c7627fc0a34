"""Modules of bye_core.pipeline, for tests that replace a part of one."""

from importlib import import_module
from types import ModuleType


def stage(name: str) -> ModuleType:
    """Return the module `bye_core.pipeline.<name>`; plain imports give the function of that name instead."""
    return import_module(f"bye_core.pipeline.{name}")
