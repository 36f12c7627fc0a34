"""The laws of the layout, checked in fresh processes and on the source."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
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
    assert part == "workers" or "ray" not in names


def test_everything_after_the_scan_loads_neither_torch_nor_gradio():
    code = (
        "import sys, bye_core.pipeline, bye_core.cli.main;"
        "print([name for name in ('torch', 'transformers', 'peft', 'gradio', 'datasets', 'ray')"
        " if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


STAGES = {
    "data",
    "models",
    "attention",
    "detect",
    "evidence",
    "attacks",
    "train",
    "runs",
    "figures",
    "guard",
    "evaluate",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_stages_do_not_import_each_other(path):
    part = path.relative_to(ROOT / "bye_core").parts[0]
    if part not in STAGES:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bye_core."):
            other = node.module.split(".")[1]
            assert other not in STAGES - {part}, f"{path.name} imports {node.module}"


def test_the_pipeline_has_no_circular_imports():
    package, needs = "bye_core.pipeline", {}
    for path in (ROOT / "bye_core/pipeline").glob("[!_]*.py"):
        nodes = [
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        modules = {node.module for node in nodes} | {
            f"{node.module}.{name.name}" for node in nodes for name in node.names
        }
        assert package not in modules, path.name
        assert not any(module.startswith("bye_core.cli") for module in modules), path.name
        needs[f"{package}.{path.stem}"] = modules
    assert len(needs) > 1
    list(TopologicalSorter(needs).static_order())


UI = ROOT / "bye_core/ui"


@pytest.mark.parametrize("path", sorted(UI.rglob("*.py")), ids=lambda p: str(p.relative_to(UI)))
def test_tabs_do_not_import_each_other_nor_the_app_the_command_line(path):
    folder = path.relative_to(UI).parts
    tab = folder[1] if folder[0] == "tabs" and len(folder) > 2 else None
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [f"{node.module}.{name.name}" for name in node.names] if isinstance(node, ast.ImportFrom) else []
        names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert not name.startswith("bye_core.cli"), f"imports {name}"
            if tab and name.startswith("bye_core.ui.tabs."):
                assert name.split(".")[3] == tab, f"the tab {tab} imports {name}"


def test_the_top_of_the_app_stays_small():
    assert len(list(UI.glob("*.py"))) <= 12
