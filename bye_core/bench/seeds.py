"""Random seeds of the benchmark. Some seeds choose settings ("dev"); others report results ("report...")."""

from __future__ import annotations

from collections.abc import Iterable

from bye_core.errors import SettingError

# The seed of a cell determines everything random: images, questions, the poisoned samples and the training.
# "report-targets" reports on targets other than the fixed answer; "report-families" on base models of other families,
# "report-real" on pretrained base models and photographs (see `bench.real`).
SEEDS = {
    "dev": range(1000, 2000),
    "report": range(2000, 3000),
    "report-targets": range(3000, 3100),
    "report-families": range(3100, 4000),
    "report-real": range(4000, 5000),
}


class UnknownPurpose(SettingError):
    problem = "The purpose {purpose!r} does not exist."
    remedy = "Choose one of: {choices}."


class TooManySeeds(SettingError):
    problem = "The number of seeds for {purpose} cannot be {count}."
    remedy = "Give a number from 1 to {most}."


class ForeignSeed(SettingError):
    problem = "The results for {purpose} contain the seed {seed}, which is for another purpose."
    remedy = "Delete the cells with seeds outside {first} to {last} from the folder."


def first_seeds(purpose: str, count: int) -> tuple[int, ...]:
    """Return the first `count` seeds for a purpose, a key of SEEDS.

    Raises: UnknownPurpose if there is no such purpose; TooManySeeds if `count` is below 1 or above the number of seeds.
    """
    seeds = _of(purpose)
    if not 1 <= count <= len(seeds):
        raise TooManySeeds(count=count, purpose=purpose, most=len(seeds))
    return tuple(seeds[:count])


def require(purpose: str, seeds: Iterable[int]) -> None:
    """Check that all `seeds` are for this purpose.

    Raises: ForeignSeed if a seed is not; UnknownPurpose if there is no such purpose.
    """
    own = _of(purpose)
    for seed in seeds:
        if seed not in own:
            raise ForeignSeed(purpose=purpose, seed=seed, first=own[0], last=own[-1])


def _of(purpose: str) -> range:
    if purpose not in SEEDS:
        raise UnknownPurpose(purpose=purpose, choices=", ".join(SEEDS))
    return SEEDS[purpose]
