"""The lookup of a browser, and what the test run reports where there is none."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.e2e.browser import COMMANDS, NO_BROWSER, NO_PLAYWRIGHT, OUTSIDE_PATH, find_browser, is_required

pytest_plugins = ["pytester"]
BROWSER_TEST = "def test_one(chromium): ...\ndef test_two(chromium): ...\n"
CONFTEST = "from tests.e2e.browser import chromium\nfrom tests.skip_summary import pytest_terminal_summary\n"


@contextmanager
def sync_playwright():
    """Stand in for a Playwright whose own browser was never downloaded."""
    yield SimpleNamespace(chromium=SimpleNamespace(executable_path="/no/such/browser"))


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="programs on Windows need an extension")
def test_the_first_command_on_path_is_taken(tmp_path):
    environ = {"PATH": str(tmp_path)}
    assert find_browser(environ, "linux") is None
    for command in reversed(COMMANDS):
        expected = program(tmp_path / command)
        assert find_browser(environ, "linux") == expected


@pytest.mark.skipif(sys.platform == "win32", reason="programs on Windows need an extension")
def test_bye_chromium_comes_first_and_is_never_replaced(tmp_path):
    program(tmp_path / "path/chromium")
    named = program(tmp_path / "mine/browser")
    environ = {"PATH": str(tmp_path / "path"), "BYE_CHROMIUM": named}
    assert find_browser(environ, "linux") == named
    assert find_browser({**environ, "BYE_CHROMIUM": "chromium"}, "linux") == str(tmp_path / "path/chromium")
    assert find_browser({**environ, "BYE_CHROMIUM": str(tmp_path / "none")}, "linux") is None


@pytest.mark.parametrize(
    ("platform", "variable"),
    [("darwin", "HOME"), ("win32", "ProgramFiles"), ("win32", "ProgramFiles(x86)"), ("win32", "LOCALAPPDATA")],
)
def test_installed_programs_outside_path_are_found(tmp_path, platform, variable):
    environ = {"PATH": "", variable: str(tmp_path)}
    assert find_browser(environ, platform) is None
    for path in reversed(OUTSIDE_PATH[platform][1]):
        expected = program(tmp_path / path)
        assert find_browser(environ, platform) == expected


@pytest.mark.parametrize(
    ("environ", "required"),
    [
        ({}, False),
        ({"BYE_REQUIRE_BROWSER": "1"}, True),
        ({"CI": "true"}, True),
        ({"CI": "false"}, False),
        ({"CI": "true", "BYE_REQUIRE_BROWSER": "0"}, False),
    ],
)
def test_where_a_browser_is_required(environ, required):
    assert is_required(environ) is required


@pytest.fixture
def no_browser(pytester, monkeypatch):
    """A folder with two browser tests, on a machine with Playwright but without any browser."""
    for name in ("CI", "BYE_REQUIRE_BROWSER", "BYE_CHROMIUM", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("tests.e2e.browser.OUTSIDE_PATH", {})
    playwright = SimpleNamespace(sync_playwright=sync_playwright)
    monkeypatch.setitem(sys.modules, "playwright.sync_api", playwright)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(BROWSER_TEST)
    return pytester


def test_skipped_browser_tests_are_one_line_with_the_command_that_helps(no_browser):
    result = no_browser.runpytest_inprocess("-q", "-p", "no:xdist")
    result.assert_outcomes(skipped=2)
    lines = [line for line in result.outlines if line.startswith("SKIPPED")]
    assert lines == [f"SKIPPED 2 tests: browser tests: {NO_BROWSER}"]


def test_a_required_browser_that_is_missing_fails_the_tests(no_browser, monkeypatch):
    monkeypatch.setenv("BYE_REQUIRE_BROWSER", "1")
    result = no_browser.runpytest_inprocess("-q", "-p", "no:xdist")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*The browser tests are required here, but no Chromium*playwright install*"])


def test_a_wrong_bye_chromium_is_named(no_browser, monkeypatch):
    monkeypatch.setenv("BYE_CHROMIUM", "/no/such/chromium")
    result = no_browser.runpytest_inprocess("-q", "-p", "no:xdist")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED 2 tests: *BYE_CHROMIUM names /no/such/chromium*"])


def test_a_missing_playwright_is_named(no_browser, monkeypatch):
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    result = no_browser.runpytest_inprocess("-q", "-p", "no:xdist")
    result.assert_outcomes(skipped=2)
    assert any(line.endswith(NO_PLAYWRIGHT) for line in result.outlines)
