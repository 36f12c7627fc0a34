"""Everything that is imported is declared, explained and bounded; the app's packages are needed by the app alone."""

import ast
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib")  # Python 3.11

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = {"bitsandbytes", "kernels", "torchvision"}  # used where they are installed
PARTS = {"starlette", "tokenizers"}  # of Gradio, and of transformers


def names(requirements):
    return {re.match(r"[\w-]+", line)[0].lower() for line in requirements}


BASE, APP = names(PROJECT["dependencies"]), names(PROJECT["optional-dependencies"]["app"])
CLUSTER = PROJECT["optional-dependencies"]["cluster"]


def imported():
    """{(distribution, whether only the app imports it)} of every import, also inside functions."""
    known, users = packages_distributions(), {}
    for path in (ROOT / "bye_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules.append(node.module or "")
            for top in {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"bye_core"}:
                for distribution in known.get(top, [top]):
                    parts = users.setdefault(distribution.lower().replace("_", "-"), set())
                    parts.add(path.relative_to(ROOT / "bye_core").parts[0])
    return {(name, parts == {"ui"}) for name, parts in users.items()}


def test_what_is_imported_is_declared():
    found = imported()
    assert {name for name, app in found if not app} <= BASE | names(CLUSTER) | OPTIONAL | PARTS
    assert APP <= {name for name, app in found if app} <= BASE | APP | PARTS


def test_each_has_bounds_and_is_explained():
    table = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    rows = {row.split("|")[1].strip(): row for row in table.splitlines() if row.startswith("| ")}
    tested = {
        re.match(r"[\w-]+", line)[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if line[0] != "#"
    }
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["app"], *CLUSTER]:
        name, lowest = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,<\d+(?:\.\d+)?)?", line).groups()
        assert name in tested or line in CLUSTER  # a Space installs the tested versions, and has no cluster
        assert lowest in rows[name].split("|")[3], name
        assert rows[name].split("|")[4].strip(), name


COMMANDS = "from bye_core.cli.main import console; sys.exit(console())"
THE_APP = "from bye_core.ui.__main__ import main; main()"
BLOCKED = ("gradio", "gradio_client", "brotli", "cachetools", "starlette", "fastapi", "uvicorn", "plotly")


def without_packages(code, *arguments):
    """What a child process says in which they cannot be imported."""
    code = f"import sys; sys.modules.update({dict.fromkeys(BLOCKED)}); {code}"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_commands_run_without_the_packages_of_the_app(tmp_path):
    shutil.copytree(ROOT / "assets/demo/run", tmp_path / "run")
    done = without_packages(COMMANDS, "detect", "--run", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    done = without_packages(THE_APP)
    assert done.returncode == 1
    assert 'pip install ".[app]"' in done.stderr
