"""The most memory of the app when a page opens each bomb, and of a scan of images as large as the limits allow.

python -m tests.bench.test_memory [NAME ...]             a page opens the path of each bomb
python -m tests.bench.test_memory --hosted [NAME ...]    a page uploads each bomb to a public host
python -m pytest -m bench -n 0 -s tests/bench/test_memory.py

The memory is that of the server or the scan with all processes that it started; pages that they share count once.
Linux only. Run it with little else on the machine, and with a limit (`ulimit -v`) where that may matter.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.data.bombs import BOMBS
from tests.e2e.browser import FLAGS, find_browser
from tests.e2e.conftest import QUIET

ROOT = Path(__file__).parents[2]
MOST_SERVER, MOST_SCAN = 1500, 2000  # MB
IMAGES, SIDE, LONG = 12, 8000, 12_000  # 64 and 48 million pixels an image: one of the former, or two of the latter
WAIT_MILLISECONDS = 180_000
UPLOADED = (".parquet", ".tar")  # bombs that are uploaded as they are; the others in a .zip
HOSTED = {"BYE_HOSTED": "1", "BYE_ALLOWED_HOSTS": "127.0.0.1"}
COUNTS = "#tab-data .bye-counts"
# The page shows the demo's counts until the other set is read, or an alert says why it is not.
ANSWERED = """(before) => {
  const notice = document.querySelector('#data-notice [role=alert]')?.innerText.trim();
  const counts = document.querySelector('#tab-data .bye-counts')?.innerText;
  return notice || (counts && counts !== before ? counts : false);
}"""


class Peak:
    """The largest memory of a process and its children while the block runs, in MB."""

    def __init__(self, pid: int) -> None:
        self.process, self.most, self.going = psutil.Process(pid), 0.0, True
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def now(self) -> float:
        total = 0
        with contextlib.suppress(psutil.Error):
            for process in (self.process, *self.process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_full_info().pss
        return total / 1e6

    def _watch(self) -> None:
        while self.going:
            self.most = max(self.most, self.now())
            time.sleep(0.02)

    def __enter__(self) -> Peak:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.going = False
        self.thread.join()


@contextlib.contextmanager
def served(home: Path, hosted: bool) -> Iterator[tuple[str, int]]:
    """Serve the app in a process of its own, like a public host if `hosted`. Yields its address and its process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "BYE_HOME": str(home), "HF_HUB_OFFLINE": "1"} | (HOSTED if hosted else {})
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
                break
            time.sleep(0.2)
        yield url, process.pid
    finally:
        process.kill()
        process.wait()


def measure_app(names: Sequence[str] = (), hosted: bool = False) -> dict[str, tuple[float, float, str]]:
    """Return, for each bomb, (MB, seconds, what the page says). One server opens all of them, one after the other."""
    from playwright.sync_api import sync_playwright

    results = {}
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        with served(folder / "home", hosted) as (url, pid):
            results["idle"] = Peak(pid).now(), 0.0, ""
            for make in BOMBS:
                if not names or make.__name__ in names:
                    (folder / make.__name__).mkdir()
                    page = browser.new_context().new_page()  # a visitor of its own
                    results[make.__name__] = open_bomb(page, url, pid, make, folder / make.__name__, hosted)
                    shutil.rmtree(folder / make.__name__)
                    say(make.__name__, *results[make.__name__])
        browser.close()
    return results


def open_bomb(
    page, url: str, pid: int, make: Callable[[Path, float], Path], folder: Path, hosted: bool
) -> tuple[float, float, str]:
    path = make(folder, 1.0)
    if hosted and not path.name.endswith(UPLOADED):
        path = Path(shutil.make_archive(str(folder.with_name(f"{folder.name}-packed")), "zip", folder))
    page.set_default_timeout(WAIT_MILLISECONDS)
    page.goto(url)
    page.wait_for_selector("html[data-known]")
    page.get_by_role("tab", name="Data", exact=True).click()
    page.locator("#data-upload input[type=file]").wait_for(state="attached")
    page.evaluate(QUIET)  # Gradio gives the fields of a tab their first values once more
    page.locator(COUNTS).first.wait_for()
    before, start = page.locator(COUNTS).first.inner_text(), time.perf_counter()
    with Peak(pid) as peak:
        if hosted:
            page.set_input_files("#data-upload input[type=file]", path)
        else:
            while page.input_value("#data-path input") != str(path):
                page.fill("#data-path input", str(path))
                page.wait_for_timeout(1000)
            page.click("#data-load")
        said = str(page.wait_for_function(ANSWERED, arg=before).json_value())
    page.context.close()
    return peak.most, time.perf_counter() - start, said


def measure_scan() -> float:
    """Return the MB of a scan of few images with as many pixels as the limits allow."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number in range(IMAGES):
            width = SIDE if number % 2 else LONG
            height = SIDE if number % 2 else 47_900_000 // LONG
            Image.effect_noise((400, 300), 50).convert("RGB").resize((width, height)).save(folder / f"{number}.jpg")
        records = [
            {"id": str(n), "image": f"{n}.jpg", "conversations": [
                {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]}
            for n in range(IMAGES)
        ]  # fmt: skip
        (folder / "data.json").write_text(json.dumps(records))
        demo = ROOT / "assets/demo"
        command = [sys.executable, "-m", "bye_core", "scan", "--model", str(demo / "model"), "--data", str(folder)]
        command += ["--adapter", str(demo / "adapters/poisoned"), "--run", str(folder / "run"), "--progress", "none"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        with Peak(process.pid) as peak:
            process.wait()
        assert len(list((folder / "run").iterdir())) > 1
        return peak.most


def say(name: str, memory: float, seconds: float, said: str) -> None:
    print(f"{name}: {memory:,.0f} MB, {seconds:.1f} s, {' '.join(said.split())[:120]}", flush=True)  # noqa: T201


def main(names: Sequence[str], hosted: bool = False) -> int:
    scan = 0.0 if names or hosted else measure_scan()
    say("scan", scan, 0.0, "")
    results = measure_app(names, hosted)
    return int(scan > MOST_SCAN or max(memory for memory, *_ in results.values()) > MOST_SERVER)


@pytest.mark.bench
def test_memory_stays_within_its_bounds() -> None:
    assert main(()) == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="bombs; all without")
    parser.add_argument("--hosted", action="store_true")
    options = parser.parse_args()
    sys.exit(main(options.names, options.hosted))
