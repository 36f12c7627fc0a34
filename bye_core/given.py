"""What was given on the command line, as the pipeline takes it."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from bye_core.attack_options import known_attack
from bye_core.pipeline.cleaning import Cleaning
from bye_core.train.settings import FinetuneSettings


def source(args: argparse.Namespace) -> dict[str, Any]:
    """How the data set is to be read, as the stages take it."""
    return {"format": args.format, "columns": dict(args.columns or [])}


def finetune_settings(args: argparse.Namespace) -> FinetuneSettings:
    return FinetuneSettings(**{field.name: getattr(args, field.name) for field in dataclasses.fields(FinetuneSettings)})


def cleaning_of(args: argparse.Namespace) -> Cleaning:
    """Raises what makes no sense about it."""
    attack, attack_seed = known_attack(args)
    return Cleaning(
        args.model,
        args.data,
        finetune_settings(args),
        args.method,
        **source(args),
        test=args.test,
        attack=attack,
        attack_seed=attack_seed,
        metric=args.metric,
        baselines=tuple(args.baseline),
        seed=args.seed,
        run=args.run,
    )
