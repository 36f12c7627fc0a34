"""Runs the command line: `python -m bye_core`."""

import sys

try:
    from bye_core.process import collect_rarely

    collect_rarely()
    from bye_core.cli.main import console

    code = console()
except KeyboardInterrupt:  # Ctrl-C during the imports
    code = 130
sys.exit(code)
