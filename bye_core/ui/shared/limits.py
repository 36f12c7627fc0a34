"""Limits on the work and disk space of one visitor: wide on the user's own machine, tight on a public host."""

from __future__ import annotations

from dataclasses import dataclass, field

from bye_core.data import archive
from bye_core.errors import SettingError
from bye_core.ui.workspace import hosted

MB, GB = 10**6, 10**9


class TooManySamples(SettingError):
    problem = "The set has {count:,} samples; this public demo scans at most {most:,} at a time."
    remedy = "Upload a part of the set, or run the app on your own machine, which has no such limit."


class TooLargeHere(SettingError):
    problem = "{name} has {size}; this public demo downloads at most {most}."
    remedy = "Choose a smaller data set or model, or run the app on your own machine, which has no such limit."


class NotHere(SettingError):
    problem = "{what} is not possible on this public demo."
    remedy = "{instead}"


class MachineBusy(SettingError):
    problem = "This public demo runs at most {most} long jobs at a time, and {most} are running now."
    remedy = "Wait a few minutes and start again, or run the app on your own machine."


@dataclass(frozen=True)
class Limits:
    """The most that one visitor, or the machine, may use. None means no limit.

    jobs      running jobs of one visitor
    all_jobs  running jobs of all visitors together
    samples   samples in one scan
    sets      uploaded data sets that a visitor may keep
    fetched   bytes of a data set from the hub
    model     bytes of a model from the hub
    archive   unpacked size of an upload
    """

    jobs: int
    all_jobs: int | None = None
    samples: int | None = None
    sets: int | None = None
    fetched: int | None = None
    model: int | None = None
    archive: archive.Limits = field(default_factory=archive.Limits)


OWN = Limits(jobs=2)
# Ours, for a free Space: 2 cores, 16 GB of memory and 50 GB of disk.
PUBLIC = Limits(
    jobs=1,
    all_jobs=2,
    samples=1000,
    sets=3,
    fetched=200 * MB,
    model=3 * GB,
    archive=archive.Limits(files=5000, bytes=400 * 2**20, ratio=50.0),
)


def limits() -> Limits:
    """Return the limits that apply here: tight on a public host, none or wide on the user's own machine."""
    return PUBLIC if hosted() else OWN
