"""`python -m bye_core`."""

import sys

from bye_core.cli import main

sys.exit(main())
