"""Serves a public host, lets visitors use it by HTTP and in browsers, kills it now and then, and reports.

python -m tests.soak --minutes 10 --visitors 20 --browsers 2 --kills 3

The kills are in the first half. The second half tells whether memory and disk grow. The report is one JSON object; the
exit code is 1 if an acknowledged decision was lost or an answer was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import psutil

from bye_core.runs import Run, jobs
from tests.soak.visitor import Records, Visitor

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS, SAMPLE_SECONDS, REPORT_SECONDS = 120, 5.0, 300


class Server:
    """`python app.py` as a public host in a home of its own."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.home, self.log = f"http://127.0.0.1:{self.port}/", home, home / "app.log"

    def start(self) -> None:
        more = {
            "BYE_HOME": str(self.home),
            "BYE_HOSTED": "1",
            "HF_HUB_OFFLINE": "1",
            "GRADIO_TEMP_DIR": str(self.home / "temp"),
        }
        command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **more})
        deadline = time.time() + START_SECONDS
        while time.time() < deadline:
            try:
                with urlopen(f"{self.url}config", timeout=5) as answer:
                    config = json.load(answer)
                    (self.review,) = [c["id"] for c in config["components"] if c["props"].get("elem_id") == "review"]
                    return
            except OSError:
                time.sleep(0.3)
        raise SystemExit(f"the app did not start: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def memory(self) -> float:
        return psutil.Process(self.process.pid).memory_info().rss / 2**20


def lost(visitor: Visitor, home: Path) -> list[str]:
    """Return what differs between the decisions on the disk and what the app has acknowledged to a visitor."""
    path = home / "visitors" / visitor.token / "runs/demo"
    if not visitor.entered:
        return []
    run = Run.open(path)
    stored = {id: decision.choice for id, decision in run.decisions().items()}
    found = []
    for position, sample in enumerate(run.samples()):
        expected, there = visitor.acknowledged.get(position), stored.get(sample.id)
        if position not in visitor.unsure and expected != there:
            found.append(f"{visitor.token[:6]} {sample.id}: {expected} acknowledged, {there} stored")
    return found


def browse(url: str, until: float, records: Records) -> None:
    """Decide by keys in a real browser, and look at other tabs, until a time."""
    from playwright.sync_api import Error, sync_playwright

    from tests.e2e.browser import FLAGS, find_browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        page = browser.new_page()
        page.on("pageerror", lambda error: records.fail(f"script: {error}"))
        while time.time() < until:
            try:
                page.goto(url)
                page.wait_for_selector("#review [data-part=page][data-sample]", timeout=60_000)
                for key in "rarar":
                    start = time.perf_counter()
                    page.keyboard.press(key)
                    page.wait_for_function("() => !document.querySelector('.rv-pending')", timeout=60_000)
                    records.add("browser decision", time.perf_counter() - start)
                    page.wait_for_timeout(1500)
                for tab in ("Layers", "Export", "Review"):
                    page.get_by_role("tab", name=tab, exact=True).click(timeout=60_000)
                    page.wait_for_timeout(1500)
            except Error as error:
                records.refused[f"browser: {str(error).splitlines()[0][:90]}"] += 1
                time.sleep(2)
        browser.close()


def soak(minutes: float, visitors: int, browsers: int, kills: int, pause: float, home: Path) -> dict:
    server, records = Server(home), Records()
    server.start()
    begin, until = time.time(), time.time() + minutes * 60
    samples = len((ROOT / "assets/demo/run/samples.jsonl").read_bytes().splitlines())
    people = [Visitor(number, server.url, server.review, samples, records) for number in range(visitors)]
    works: list[Callable[[], None]] = [lambda person=person: person.live(until, pause) for person in people]  # type: ignore[misc]
    works += [lambda: browse(server.url, until, records)] * browsers
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    memory, disk, killed_jobs, reported = [], [], 0, 0
    kill_times = [begin + minutes * 30 * (number + 1) / (kills + 1) for number in range(kills)]
    while time.time() < until:
        time.sleep(min(SAMPLE_SECONDS, max(0.1, until - time.time())))
        if kill_times and time.time() > kill_times[0]:
            kill_times.pop(0)
            killed_jobs += kill_a_job(home)
            server.kill()
            server.start()
        memory.append((time.time() - begin, server.memory()))
        if (time.time() - begin) // REPORT_SECONDS > reported:
            reported += 1
            sys.stderr.write(
                f"{reported * REPORT_SECONDS / 60:.0f} min: {memory[-1][1]:.0f} MiB, {records.wrong[:3]}\n"
            )
        disk.append(disk_of(home))
    for thread in threads:
        thread.join(180)
    stuck = sum(thread.is_alive() for thread in threads)
    losses = [line for person in people for line in lost(person, home)]
    wrong = [*records.wrong, *tracebacks(server.log)]
    server.kill()
    for root in home.glob("visitors/*/jobs"):
        for job in jobs.list_jobs(root):
            job.stop()
    return {
        "minutes": minutes,
        "calls": {name: len(all) for name, all in sorted(records.seconds.items())},
        "p95 seconds": records.slowest(),
        "acknowledged decisions": sum(len(person.acknowledged) for person in people),
        "lost decisions": losses,
        "unsure after kills": sum(len(person.unsure) for person in people),
        "wrong": len(wrong),
        "first wrong": wrong[:10],
        "refused": dict(records.refused.most_common(12)),
        "kills of the server, of jobs": [kills, killed_jobs],
        "threads that did not end": stuck,
        "memory MiB": growth(memory, minutes * 60),
        "disk MiB": [round(disk[len(disk) // 2]), round(max(disk)), round(disk[-1])],
        "load": os.getloadavg(),
    }


def disk_of(home: Path) -> float:
    """Return the size of all files of a server, in MiB. Files and folders may be removed meanwhile."""
    total = 0
    for folder, _, names in os.walk(home):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total / 2**20


def kill_a_job(home: Path) -> int:
    """Kill the process of one running job."""
    for root in home.glob("visitors/*/jobs"):
        for job in jobs.list_jobs(root):
            if job.state == jobs.RUNNING:
                with suppress(psutil.Error):  # it may have ended meanwhile
                    psutil.Process(job.pid).kill()
                    return 1
    return 0


def growth(memory: list[tuple[float, float]], seconds: float) -> dict[str, float]:
    """Return the memory after the warm-up (from 60% to 70% of the time) and at the end (the last 10%)."""
    early = [size for time, size in memory if 0.6 * seconds <= time < 0.7 * seconds]
    late = [size for time, size in memory if time >= 0.9 * seconds]
    if not early or not late:
        return {}
    first, last = statistics.median(early), statistics.median(late)
    return {"after warm-up": round(first), "end": round(last), "growth %": round(100 * (last / first - 1), 1)}


def tracebacks(log: Path) -> list[str]:
    """Return the last line of each traceback that the server has printed."""
    lines, found = log.read_text(encoding="utf-8", errors="replace").splitlines(), []
    inside = False
    for line in lines:
        if line.startswith("Traceback"):
            inside = True
        elif inside and line and not line.startswith((" ", "During", "The above")):
            found.append(f"server: {line[:200]}")
            inside = False
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--browsers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two actions of a visitor, on average")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        report = soak(options.minutes, options.visitors, options.browsers, options.kills, options.pause, home)
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return int(bool(report["lost decisions"] or report["wrong"] or report["threads that did not end"]))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
