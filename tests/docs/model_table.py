"""Writes the tables of docs/models.md from the families and their tests: `python -m tests.docs.model_table`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from bye_core.models.families import MODULES
from bye_core.models.families.base import Family
from tests.models.test_model_types import NEEDS_PACKAGE, NO_HEAD, REASONS, REFUSED
from tests.models.tiny import TinyModel, tiny_models

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
START, END = "<!-- tables: python -m tests.docs.model_table -->\n", "<!-- end of the tables -->\n"
HEAD = "| {} | model type | scan | map | fine-tune | needs | tested |\n| --- | --- | --- | --- | --- | --- | --- |"
TESTED = "conformance"
WHY = {
    "encoder-decoder": "encoder-decoder: its answer does not attend to image tokens",
    "not tokens among the text": "its images are not tokens among the text",
    "proteins": "reads proteins",
    "videos": "reads videos",
    "reads no images": "reads no images",
    "robot": "answers with movements of a robot",
    "diffusion": "writes by diffusion, not token after token",
    "no attention rows": "its layers have no attention rows",
}


def page() -> str:
    """Return the page with new tables."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    return before + START + "\n" + tables() + "\n\n" + END + rest.split(END)[1]


def tables() -> str:
    tiny = tiny_models()
    own = [HEAD.format("family"), *own_rows(tiny)]
    tested = [HEAD.format("other types"), *generic_rows(tiny)]
    return "\n".join([*own, "", *tested, "", untested(tiny), "", "| refused | why |", "| --- | --- |", *refused()])


def families() -> list[type[Family]]:
    return sorted((import_module(f"bye_core.models.families.{name}").FAMILY for name in MODULES), key=_title)


def _title(family: type[Family]) -> str:
    return family.name.lower()


def own_rows(tiny: dict[str, TinyModel]) -> Iterator[str]:
    """Yield one row a family; a type without a tiny model of its own is tested with the others of its family."""
    by_type: dict[str, list[TinyModel]] = {}
    for model in tiny.values():
        by_type.setdefault(model.config().model_type, []).append(model)
    for family in families():
        module = import_module(f"tests.models.families.{family.__module__.rpartition('.')[2]}")
        own = module.TINY
        untested_types = [name for name in family.model_types if name not in by_type]
        words = TESTED + (f"; not {', '.join(untested_types)}" if untested_types else "")
        words += f", where {_packages(own)} is installed" if any(model.package for model in own) else ""
        types = ", ".join(f"`{name}`" for name in family.model_types)
        yield _row(family.name, types, _map(own), _finetune(own), _packages(own), words)


def generic_rows(tiny: dict[str, TinyModel]) -> Iterator[str]:
    generic = import_module("tests.models.families.generic").TINY
    for model in sorted(generic, key=lambda one: one.name):
        words = TESTED + (f", where {model.package} is installed" if model.package else "")
        yield _row("generic", f"`{model.name}`", _map([model]), _finetune([model]), _packages([model]), words)


def _map(models: list[TinyModel]) -> str:
    generic = models[0] in import_module("tests.models.families.generic").TINY
    if not all(any(grids) for grids in (model.grids.values() for model in models)):
        return "no; a strip"
    return "measured" if generic else "yes"


def _finetune(models: list[TinyModel]) -> str:
    return "yes" if all(model.learned is not None for model in models) else "yes, masks not tested"


def _packages(models: list[TinyModel]) -> str:
    return ", ".join(sorted({model.package for model in models if model.package})) or "-"


def _row(first: str, types: str, shown: str, finetune: str, needs: str, tested: str) -> str:
    return f"| {first} | {types} | yes | {shown} | {finetune} | {needs} | {tested} |"


def untested(tiny: dict[str, TinyModel]) -> str:
    """Return a sentence on the types that the generic family takes and no test runs."""
    known = {name for family in families() for name in family.model_types} | set(tiny) | set(REASONS) | NO_HEAD
    others = sorted(set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES) - known)
    types = ", ".join(
        f"`{name}` (needs {NEEDS_PACKAGE[name]})" if name in NEEDS_PACKAGE else f"`{name}`" for name in others
    )
    return f"The generic family takes these types, too; only their parts are tested, not a scan: {types}."


def refused() -> Iterator[str]:
    for reason, types in REFUSED.items():
        yield f"| {', '.join(f'`{name}`' for name in sorted(types))} | {WHY[reason]} |"
    yield f"| {', '.join(f'`{name}`' for name in sorted(NO_HEAD))} | its output head is not reachable |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
