"""A run folder that somebody else has made: what would be read for ever is refused by name."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bye_core.runs import Run
from bye_core.runs.errors import DamagedRun
from tests.made_run import make_run

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS position FROM n"
SCHEMAS = {
    "a view for a table": f"DROP TABLE damaged; CREATE VIEW damaged AS {ENDLESS}",
    "a view": f"CREATE VIEW other AS {ENDLESS}",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON damaged BEGIN DELETE FROM scored; END",
    "a virtual table": "CREATE VIRTUAL TABLE v USING fts5(x)",
}  # fmt: skip
NAMES = ("samples.jsonl", "detection.json", "decisions.jsonl", "checks.jsonl", "scan.lock", "index.sqlite",
         "index.sqlite-wal", "shards/00000.bin")  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made"), samples=4)


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


def read(path: Path) -> None:
    run = Run.open(path)
    run.samples(), run.counts(), run.table(), run.detection(), run.decisions(), run.checks(), run.verify()


@pytest.mark.parametrize("kind", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file_is_refused(name: str, kind: Callable[[Path], None], path: Path) -> None:
    (path / name).unlink(missing_ok=True)
    kind(path / name)
    with pytest.raises(DamagedRun, match=rf"The file {name} of the run is damaged: it is no regular file"):
        read(path)


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_index_holds_tables_alone(name: str, path: Path) -> None:
    read(path)
    with closing(sqlite3.connect(path / "index.sqlite")) as connection:
        connection.executescript(SCHEMAS[name])
    with pytest.raises(DamagedRun, match=r"index\.sqlite of the run is damaged: it holds \w+, which is no table"):
        read(path)
