"""docs/extending.md: its five examples, put into a copy of the package as they stand there, work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(python|diff)\n# (bye_core/\S+)\n(.*?)```", re.DOTALL)
USE = Path(__file__).with_name("use_extensions.py")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a copy of the package in which every example of the page is in its place."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "bye_core", root / "bye_core", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "assets").symlink_to(ROOT / "assets")
    for kind, name, text in BLOCK.findall(PAGE):
        path = root / name
        if kind == "python":
            assert not path.exists(), f"{name} is there already"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        else:
            patch(path, text)
    return root


def patch(path, text):
    """Apply a diff of one hunk without line numbers; its context must occur exactly once."""
    lines = text.rstrip("\n").split("\n")
    before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    source = path.read_text(encoding="utf-8")
    assert source.count(before) == 1, f"{path.name} does not hold:\n{before}"
    path.write_text(source.replace(before, after), encoding="utf-8")


def test_each_extension_is_one_file_or_folder_and_one_line():
    added = [name for kind, name, _ in BLOCK.findall(PAGE) if kind == "python"]
    places = {name if "/tabs/" not in name else str(Path(name).parent) for name in added}
    diffs = [text for kind, _, text in BLOCK.findall(PAGE) if kind == "diff"]
    assert len(places) == len(diffs) == 5
    for text in diffs:
        assert sum(line.startswith("+") for line in text.splitlines()) == 1
        assert not any(line.startswith("-") for line in text.splitlines())


@pytest.mark.parametrize("kind", ["detector", "trigger", "format", "family", "tab"])
def test_the_example_works(package, tmp_path, kind):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(package), str(ROOT))), "BYE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(USE), kind, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
