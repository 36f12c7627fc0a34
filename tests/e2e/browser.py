"""Finds a Chromium browser for the browser tests and starts it once for the whole run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

# The headless shell comes first: it draws the same with a quarter less CPU time.
COMMANDS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)
# Where installers put browsers outside PATH: platform -> (variables with a base folder, paths below it).
PROGRAMS = ("ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA")
OUTSIDE_PATH = {
    "darwin": (
        ("", "HOME"),
        (
            "Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
            "Applications/Chromium.app/Contents/MacOS/Chromium",
            "Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
        ),
    ),
    "win32": (
        PROGRAMS,
        (
            "Google/Chrome/Application/chrome.exe",
            "Chromium/Application/chrome.exe",
            "Microsoft/Edge/Application/msedge.exe",
        ),
    ),
}
NO_PLAYWRIGHT = 'Playwright is not installed: pip install -e ".[dev]"'
NO_BROWSER = "no Chromium, Chrome or Edge is installed: python -m playwright install --with-deps chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_browser(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str | None:
    """Return the path of an installed browser: BYE_CHROMIUM, else one on PATH, else where installers put it.

    Return None where there is none, also where BYE_CHROMIUM names a file that does not exist.
    """
    if named := environ.get("BYE_CHROMIUM"):
        return shutil.which(named, path=environ.get("PATH", ""))
    for command in COMMANDS:
        if path := shutil.which(command, path=environ.get("PATH", "")):
            return path
    variables, paths = OUTSIDE_PATH.get(platform, ((), ()))
    bases = [Path(environ.get(name, "") if name else "/") for name in variables if not name or environ.get(name)]
    return next((str(base / path) for base in bases for path in paths if (base / path).is_file()), None)


def is_required(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a missing browser fails the tests: BYE_REQUIRE_BROWSER=1, or CI=true unless that is 0."""
    required = environ.get("BYE_REQUIRE_BROWSER", "")
    return required != "0" if required else environ.get("CI", "").lower() in ("true", "1")


def reject(reason: str) -> None:
    """Skip the browser tests, or fail them where a browser is required."""
    if is_required():
        pytest.fail(f"The browser tests are required here, but {reason}", pytrace=False)
    pytest.skip(f"browser tests: {reason}")


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests of a worker. Skips or fails the test where there is none (`is_required`)."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        reject(NO_PLAYWRIGHT)
    with sync_playwright() as playwright:
        path = find_browser()
        if path is None and (named := os.environ.get("BYE_CHROMIUM")):
            reject(f"BYE_CHROMIUM names {named}, which is not a program: correct it or unset it")
        if path is None and not Path(playwright.chromium.executable_path).is_file():
            reject(NO_BROWSER)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
