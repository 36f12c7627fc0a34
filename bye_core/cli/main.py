"""The command line: one subcommand per stage. The functions of bye_core.pipeline do the work."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from pathlib import Path

from bye_core.cli import data, demo, detection, explanation, real, training
from bye_core.cli.options import Command
from bye_core.cli.output import FAILED, REPORTS
from bye_core.errors import ByeError
from bye_core.process import Stopped, StopRequest, tether

# In the order of the work, as `--help` lists them.
REGISTERED = (
    data.CHECK,
    data.POISON,
    training.FINETUNE,
    detection.SCAN,
    detection.DETECT,
    detection.DECIDE,
    data.EXPORT,
    training.EVALUATE,
    detection.SCORE,
    training.CLEAN,
    explanation.REPORT,
    explanation.EVIDENCE,
    explanation.INSPECT,
    explanation.GUARD,
    demo.DEMO,
    demo.BENCH,
    demo.BENCH_DETECT,
    real.BENCH_REAL,
)
COMMANDS: dict[str, Command] = {command.name: command for command in REGISTERED}
CONSOLE_SCRIPT = "bye-core"
DESCRIPTION = """Find poisoned samples (back doors) in the fine-tuning data of vision-language models.
`COMMAND --help` lists the options of a command.

Exit codes: 0 done; 1 an error, or `check` found samples that cannot be used; 2 wrong options; with --fail-on-poison,
3 poisoning found and 4 data set not tested; 130 stopped by Ctrl-C, 143 by SIGTERM. `scan` and `evidence` stop after
saving the current batch, other commands at once; saved results are kept."""
FOLLOW = "how to show progress: a bar on standard error, or JSON lines on standard output with the result last"


def build_parser(description: str | None = None) -> ArgumentParser:
    """Return the parser of all subcommands. The parsed namespace holds the subcommand's name as `command`."""
    parser = ArgumentParser(prog=_program(), description=description)
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.help, description=command.help)
        subparser.add_argument("--json", action="store_true", help="print the result as one JSON object")
        if command.long:
            subparser.add_argument("--progress", choices=list(REPORTS), default="bar", help=FOLLOW)
        else:
            subparser.set_defaults(progress="none")
        command.add_options(subparser)
    return parser


def _program() -> str:
    return CONSOLE_SCRIPT if Path(sys.argv[0]).stem == CONSOLE_SCRIPT else "python -m bye_core"


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    args = build_parser(DESCRIPTION).parse_args(arguments)
    command = COMMANDS[args.command]
    tether()
    with StopRequest() as stop, REPORTS[args.progress](args.json, stop) as report:
        try:
            return command.run(args, report)
        except ByeError as error:
            report.error(error)
            return FAILED
        except Stopped as stopped:
            report.stopped(command.after_stop)
            return stopped.code
        except Exception as error:
            report.crashed(error)
            raise


def console() -> int:
    """Entry point of the console script: like `main`, but Ctrl-C before or after the work prints no traceback."""
    try:
        code = main()
    except KeyboardInterrupt:
        return 130
    if code == 128 + signal.SIGTERM:
        # A repeated request would otherwise kill the process while it ends, and replace its exit code.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return code
