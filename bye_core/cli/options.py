"""What was given on the command line, as the pipeline takes it."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from bye_core.cli.attack_options import known_attack
from bye_core.detect import DEFAULT
from bye_core.pipeline.cleaning import Cleaning
from bye_core.pipeline.cleaning_folder import read_record
from bye_core.train.settings import PRESETS, FinetuneSettings


def source(args: argparse.Namespace) -> dict[str, Any]:
    """How the data set is to be read, as the stages take it."""
    return {"format": args.format, "columns": dict(args.columns or [])}


def finetune_settings(args: argparse.Namespace) -> FinetuneSettings:
    """The preset, with the options that were given."""
    names = [field.name for field in dataclasses.fields(FinetuneSettings)]
    return dataclasses.replace(PRESETS[args.preset], **{name: getattr(args, name) for name in names if name in args})


def cleaning_of(args: argparse.Namespace) -> Cleaning:
    """Raises what makes no sense about it. Without a method a cleaning that was begun goes on with its own."""
    settings = finetune_settings(args)
    attack, attack_seed = known_attack(args, settings.seed)
    return Cleaning(
        args.model,
        args.data,
        settings,
        args.method or (read_record(args.out) or {}).get("method", DEFAULT),
        **source(args),
        test=args.test,
        attack=attack,
        attack_seed=attack_seed,
        metric=args.metric,
        baselines=tuple(args.baseline),
        seed=settings.seed,
        run=args.run,
        attack_file=args.attack,
    )
