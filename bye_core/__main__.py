"""`python -m bye_core`."""

import sys

try:
    from bye_core.cli.main import main

    code = main()
except KeyboardInterrupt:
    code = 130  # before or after the work; a stop of the work itself is explained by `main`
sys.exit(code)
