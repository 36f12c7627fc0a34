"""Writes docs/cli.md from the parser: `python -m tests.docs.command_reference`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from bye_core.cli.main import build_parser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
HEAD = """# Command line

`python -m bye_core COMMAND`, or `bye-core COMMAND` after `pip install .`.

Exit codes: 0 done; 1 an error, with its remedy on standard error, or `check` found samples that cannot be used; 2 wrong
options; 3 poisoning found and 4 data set not tested (both with `--fail-on-poison`); 130 and 143 stopped by Ctrl-C and
SIGTERM.

After a stop or crash, the same command resumes `finetune`, `scan`, `evidence --check`, `clean`, `bench-detect` and
`bench-real`; `demo` resumes with the same `--out`. The other commands start again.

Environment: `BYE_HOME` is the folder of all files of the app and of the index of large sets; `BYE_DATA_MEMORY` bounds
the memory of a decoded data set, in megabytes (default: half of the machine's); `BYE_HOSTED=1` gives every visitor of
the app a workspace of their own; `BYE_JOB_NICE` (0 to 19, default 5) lowers the priority of the app's jobs;
`BYE_ALLOWED_HOSTS` and `BYE_LIMIT_...` are in [SECURITY.md](../SECURITY.md).
"""


def page() -> str:
    """Return the whole page as Markdown: one section per command, with a table of its options."""
    parser = build_parser()
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help for choice in commands._choices_actions}
    links = [f"| [`{name}`](#{name}) | {cell(summaries[name])} |" for name in commands.choices]
    sections = [section(name, summaries[name], sub) for name, sub in commands.choices.items()]
    return "\n".join([HEAD, "| command | what it does |", "| --- | --- |", *links, "", *sections])


def section(name: str, summary: str | None, parser: argparse.ArgumentParser) -> str:
    rows = [f"| {option(action)} | {description(action)} |" for action in parser._actions if action.dest != "help"]
    epilog = f"\n```text\n{parser.epilog.strip()}\n```\n" if parser.epilog else ""
    table = "\n".join(["| option | meaning |", "| --- | --- |", *rows])
    return f"## {name}\n\n{sentence(summary)}\n\n{table}\n{epilog}"


def option(action: argparse.Action) -> str:
    names = " ".join(f"`{name}`" for name in action.option_strings) or f"`{action.dest}`"
    return f"{names} (required)" if action.required and action.option_strings else names


def description(action: argparse.Action) -> str:
    parts = list(words(action))
    return cell("; ".join(parts))


def words(action: argparse.Action) -> Iterator[str]:
    if action.help:
        yield action.help.replace("%%", "%")
    if action.choices is not None:
        yield "one of " + ", ".join(f"`{choice}`" for choice in action.choices)


def cell(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").replace("|", "\\|")


def sentence(text: str | None) -> str:
    text = cell(text)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
