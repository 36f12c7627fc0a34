"""Which seeds are for choosing settings, and which for reporting them: no seed is both (ours)."""

from __future__ import annotations

from collections.abc import Iterable

from bye_core.errors import SettingError

# Everything random about a cell follows from its seed: pictures, questions, which samples are poisoned, the training.
SEEDS = {"dev": range(1000, 2000), "report": range(2000, 3000)}


class UnknownPurpose(SettingError):
    problem = "There are no seeds for {purpose!r}."
    remedy = "Choose one of: {choices}."


class TooManySeeds(SettingError):
    problem = "There are no {count} seeds for {purpose}."
    remedy = "Ask for 1 to {most}."


class ForeignSeed(SettingError):
    problem = "The results for {purpose} may not hold the seed {seed}."
    remedy = "Only seeds {first} to {last} count there; delete the cells of other seeds from its folder."


def first_seeds(purpose: str, count: int) -> tuple[int, ...]:
    """The first `count` seeds for "dev" or "report". Raises UnknownPurpose, TooManySeeds."""
    seeds = _of(purpose)
    if not 1 <= count <= len(seeds):
        raise TooManySeeds(count=count, purpose=purpose, most=len(seeds))
    return tuple(seeds[:count])


def require(purpose: str, seeds: Iterable[int]) -> None:
    """Raises ForeignSeed where one of `seeds` is not for this purpose, UnknownPurpose."""
    own = _of(purpose)
    for seed in seeds:
        if seed not in own:
            raise ForeignSeed(purpose=purpose, seed=seed, first=own[0], last=own[-1])


def _of(purpose: str) -> range:
    if purpose not in SEEDS:
        raise UnknownPurpose(purpose=purpose, choices=", ".join(SEEDS))
    return SEEDS[purpose]
