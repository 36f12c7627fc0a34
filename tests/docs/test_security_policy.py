"""SECURITY.md names every bound of a public host with its default."""

from pathlib import Path

import pytest

from bye_core.ui.shared.limits import DAY, GB, HOUR, MB, MINUTE, PREFIX, PUBLIC, SETTABLE

TEXT = (Path(__file__).resolve().parents[2] / "SECURITY.md").read_text(encoding="utf-8")
SIZES = {"fetched", "model", "hub_cache", "visitor_disk", "disk", "uploads", "upload_folder", "request"}
TIMES = {"job_seconds", "idle", "idle_demo", "upload_age"}


def in_words(name):
    value = getattr(PUBLIC, name)
    if name in SIZES:
        return f"{value // GB} GB" if value >= GB else f"{value // MB} MB"
    if name in TIMES:
        units = ((DAY, "days"), (HOUR, "h"), (MINUTE, "min"))
        return next(f"{value // unit} {word}" for unit, word in units if value % unit == 0)
    return f"{value:,}"


@pytest.mark.parametrize("name", SETTABLE)
def test_each_bound_is_named_with_its_default(name):
    (row,) = [row for row in TEXT.splitlines() if f"`{PREFIX}{name.upper()}`" in row]
    default = row.split("|")[2].replace(";", ",").split(", ")
    variables = [part.strip(" `") for part in row.split("|")[3].replace(";", ",").split(",")]
    assert default[variables.index(f"{PREFIX}{name.upper()}")].strip() == in_words(name)


def test_the_page_is_one_page():
    assert len(TEXT.split()) < 1100
