"""The laws of the layout, checked in fresh processes and on the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TORCH_PARTS = {"models", "attention", "attacks", "train", "demo"}
SOURCES = sorted((ROOT / "bye_core").rglob("*.py"))


def imported(path):
    """Top-level names of every import statement in a file, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_and_gradio_stay_where_they_belong(path):
    part = path.relative_to(ROOT / "bye_core").parts[0]
    names = set(imported(path))
    assert part == "ui" or "gradio" not in names
    assert part in TORCH_PARTS or not names & {"torch", "transformers", "peft"}


def test_everything_after_the_scan_loads_neither_torch_nor_gradio():
    code = (
        "import sys, bye_core.pipeline, bye_core.cli;"
        "print([name for name in ('torch', 'transformers', 'peft', 'gradio', 'datasets') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


STAGES = {"data", "models", "attention", "detect", "evidence", "attacks", "train", "runs", "figures"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_stages_do_not_import_each_other(path):
    part = path.relative_to(ROOT / "bye_core").parts[0]
    if part not in STAGES:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bye_core."):
            other = node.module.split(".")[1]
            assert other not in STAGES - {part}, f"{path.name} imports {node.module}"
