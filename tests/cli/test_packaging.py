"""The package as pip sees it: its dependencies, its folders and what it holds besides code."""

import importlib.util
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bye_core import files

ROOT = Path(__file__).resolve().parents[2]


def requirements():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {r.name: r for r in map(Requirement, (line for line in lines if not line.startswith("#")))}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib")
def test_the_tested_versions_are_among_the_supported():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    supported, tested = {r.name: r for r in map(Requirement, listed)}, requirements()
    assert set(supported) == set(tested)
    for name, requirement in tested.items():
        for limit in requirement.specifier:
            assert supported[name].specifier.contains(limit.version), name


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for path in (ROOT / "bye_core").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("installed", [True, False])
def test_assets_are_inside_an_installed_package_or_beside_it(tmp_path, installed):
    package = tmp_path / "bye_core"
    assets = (package if installed else tmp_path) / "assets"
    assets.mkdir(parents=True)
    package.mkdir(exist_ok=True)
    copy = package / "files.py"
    copy.write_bytes(Path(files.__file__).read_bytes())
    spec = importlib.util.spec_from_file_location("files_copy", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert assets == module.ASSETS


def test_the_wheel_holds_the_code_and_the_assets_and_nothing_else():
    """The list that the build backend makes of `pyproject.toml`, without building."""
    from hatchling.builders.wheel import WheelBuilder

    listed = WheelBuilder(str(ROOT)).recurse_included_files()
    names = {file.distribution_path.replace("\\", "/") for file in listed}
    assert {name.split("/")[0] for name in names} == {"bye_core"}
    kept = [path for path in (ROOT / "bye_core").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assets = [path for path in (ROOT / "assets").rglob("*") if path.is_file()]
    shipped = {f"bye_core/{path.relative_to(ROOT)}" for path in assets if "readme" not in path.parts}
    assert names == {str(path.relative_to(ROOT)) for path in kept} | shipped
    assert {"bye_core/assets/demo/run/run.json", "bye_core/assets/demo/model/model.safetensors"} <= names
