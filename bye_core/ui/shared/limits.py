"""Limits on the work and disk space of one visitor: wide on the user's own machine, tight on a public host."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bye_core.data import archive
from bye_core.errors import SettingError
from bye_core.ui.workspace import hosted

MB, GB = 10**6, 10**9
MINUTE, HOUR, DAY = 60, 3600, 86400
PREFIX = "BYE_LIMIT_"  # and the name of a limit in capitals: the environment variable that sets it


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


class BadLimit(SettingError):
    problem = "The environment variable {name} is {value!r}, which is not a whole number above 0."
    remedy = "Give it a whole number above 0, or unset it."


@dataclass(frozen=True)
class Limits:
    """The most that one visitor, one client, or the machine may use. None means no limit.

    A client is an internet address (bye_core.ui.web.clients). Sizes are in bytes, times in seconds.

    jobs           running jobs of one visitor
    all_jobs       running jobs of all visitors together
    job_seconds    time of one job, until it is stopped; resuming it starts the time again
    samples        samples in one scan
    sets           uploaded data sets that a visitor may keep
    fetched        size of a data set from the hub
    model          size of a model, or of an adapter, from the hub
    hub_cache      size of everything that is kept from the hub
    visitor_disk   files of one visitor
    disk           files of all visitors together
    idle           time after which the files of a visitor who has not come back are deleted
    idle_demo      the same, for visitors who have changed nothing and only looked at the demo
    visitors       new visitors a minute
    calls          calls of one client a minute
    waiting        calls of one client that wait or run at the same time
    streams        open connections of one client over which results come
    sessions       sessions of one client an hour: each page that it opens, and each call of a program
    unread         results for one client that it has not fetched
    uploads        uploads of one client an hour
    upload_folder  size of all uploads that are not unpacked yet, and of all archives for download
    upload_age     time after which these are deleted
    request        size of one call, except uploads
    archive        unpacked size of an upload
    """

    jobs: int
    all_jobs: int | None = None
    job_seconds: int | None = None
    samples: int | None = None
    sets: int | None = None
    fetched: int | None = None
    model: int | None = None
    hub_cache: int | None = None
    visitor_disk: int | None = None
    disk: int | None = None
    idle: int | None = None
    idle_demo: int | None = None
    visitors: int | None = None
    calls: int | None = None
    waiting: int | None = None
    streams: int | None = None
    sessions: int | None = None
    unread: int | None = None
    uploads: int | None = None
    upload_folder: int | None = None
    upload_age: int | None = None
    request: int | None = None
    archive: archive.Limits = field(default_factory=archive.Limits)


OWN = Limits(jobs=2)
# Ours, for a free Space: 2 cores, 16 GB of memory and 50 GB of disk. The shipped demo has 1,200 samples.
PUBLIC = Limits(
    jobs=1,
    all_jobs=2,
    job_seconds=30 * MINUTE,
    samples=1500,
    sets=3,
    fetched=200 * MB,
    model=3 * GB,
    hub_cache=12 * GB,
    visitor_disk=2 * GB,
    disk=20 * GB,
    idle=7 * DAY,
    idle_demo=HOUR,
    visitors=60,
    calls=1200,
    waiting=80,  # a page that opens makes 10 at a time (measured)
    streams=64,
    sessions=600,
    unread=200,
    uploads=500 * MB,
    upload_folder=4 * GB,
    upload_age=HOUR,
    request=MB,
    archive=archive.Limits(files=5000, bytes=400 * 2**20, ratio=50.0),
)
SETTABLE = tuple(entry.name for entry in fields(Limits) if entry.name != "archive")


def limits() -> Limits:
    """Return the limits that apply here: tight on a public host, none or wide on the user's own machine.

    Each can be set by an environment variable, such as BYE_LIMIT_SAMPLES. Raises: BadLimit if its value is no number.
    """
    given = {name: value for name in SETTABLE if (value := os.environ.get(f"{PREFIX}{name.upper()}"))}
    chosen = PUBLIC if hosted() else OWN
    numbers: dict[str, Any] = {name: _number(name, value) for name, value in given.items()}
    return replace(chosen, **numbers) if numbers else chosen


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value[:20]) < 1:
        raise BadLimit(name=f"{PREFIX}{name.upper()}", value=value)
    return int(value[:20])
