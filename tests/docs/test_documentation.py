"""The documentation: its commands exist, its Python runs, its links lead somewhere, and the README stays short."""

import re
import shlex
from pathlib import Path

import pytest

from bye_core import pipeline
from bye_core.attacks import TRIGGERS
from bye_core.cli.main import build_parser
from bye_core.data.formats import FORMATS
from bye_core.detect import DETECTORS
from tests.docs import command_reference
from tests.made_run import make_run

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
COMMAND = re.compile(r"^(?:torchrun .*-m|python -m) bye_core (?P<arguments>[a-z].*)$", re.MULTILINE)


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def commands(page):
    for block in blocks(page, "bash"):
        for match in COMMAND.finditer(block.replace("\\\n", " ")):
            yield shlex.split(match["arguments"].replace("SEED", "0"), comments=True)


def test_the_readme_is_short():
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 150
    assert sum(len(line.split()) for line in lines) <= 1300


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_can_be_parsed(page):
    for arguments in commands(page):
        parsed = build_parser().parse_args(arguments)
        assert parsed.command == arguments[0]


def test_commands_are_found():
    assert [arguments[0] for arguments in commands(ROOT / "README.md")][:4] == ["demo", "check", "finetune", "scan"]
    assert sum(len(list(commands(page))) for page in PAGES) >= 25


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "extending.md"], ids=lambda page: page.name)
def test_python_runs(page, tmp_path):
    snippets = blocks(page, "python")
    if snippets:
        run = make_run(tmp_path, samples=60)
        pipeline.detect_run(run, "bye")
        for snippet in snippets:
            exec(compile(snippet, str(page), "exec"), {"RUN": run})


def test_deployment_holds_python():
    assert blocks(ROOT / "docs/deployment.md", "python")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page if not name else page.parent / name
        assert target.is_file(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", text_of(target), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles], link


def test_every_page_is_linked():
    linked = {link for page in PAGES for link in re.findall(r"\]\((?:\.\./)?(?:docs/)?([\w-]+\.md)", text_of(page))}
    assert {page.name for page in PAGES} - linked <= {"README.md"}


def test_the_command_reference_is_that_of_the_parser(monkeypatch):
    monkeypatch.setattr("sys.argv", ["pytest"])
    assert text_of(command_reference.PAGE) == command_reference.page(), "run python -m tests.docs.command_reference"


@pytest.mark.parametrize(
    ("name", "known"), [("detectors.md", DETECTORS), ("attacks.md", TRIGGERS), ("formats.md", FORMATS)]
)
def test_every_method_trigger_and_format_is_described(name, known):
    text = text_of(ROOT / "docs" / name)
    assert [entry for entry in known if f"`{entry}`" not in text] == []
