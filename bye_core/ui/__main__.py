"""Starts the app: `python -m bye_core.ui`, or `python app.py` in a checkout."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

NEEDED = ("gradio", "brotli", "cachetools")  # the extra "app" of pyproject.toml
MISSING = (
    "The app needs the package {name}, which is not installed. In the folder of the repository, run: "
    'pip install ".[app]"'
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Review a data set for back-door poison in the browser.")
    parser.add_argument(
        "--run", default="", help="name of the run in BYE_HOME/runs that the page opens first (default: the demo)"
    )
    parser.add_argument("--host", default=None, help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=None, help="port to listen on (default: the first free from 7860)")
    parser.add_argument("--open", action="store_true", help="open a browser window")
    options = parser.parse_args()
    for name in NEEDED:
        if find_spec(name) is None:
            sys.exit(MISSING.format(name=name))
    from bye_core.ui.app import build
    from bye_core.ui.server import launch

    launch(build(options.run), options.host, options.port, options.open)


if __name__ == "__main__":
    main()
