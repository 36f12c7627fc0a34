"""The app in a real browser: a home of its own, the page served, Chromium opened on it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from bye_core import pipeline
from bye_core.runs import jobs
from tests.made_run import make_run
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
ROWS = """() => [...document.querySelectorAll('.rv-row')].map(
  (row) => [Number(row.getAttribute('aria-posinset')), row.querySelector('.rv-id').textContent])"""
START_SECONDS, WAIT_MILLISECONDS = 180, 180_000
NOWHERE = "about:blank"
POLICY = "Content Security Policy"  # in what the browser says when the page does what its policy forbids
# Wait until the page adds nothing in three frames in a row, for two seconds at most.
QUIET = """() => new Promise((done) => {
  let quiet = 0;
  const additions = new MutationObserver(() => (quiet = 0));
  additions.observe(document, { childList: true, subtree: true });
  const finish = () => additions.disconnect() ?? done();
  setTimeout(finish, 2000);
  const nextFrame = () => requestAnimationFrame(() => (++quiet < 3 ? nextFrame() : setTimeout(finish)));
  nextFrame();
})"""


# Without a graphics card, every frame of an animation is drawn by the processor that the tests need.
CONTEXT = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}


class SparePage:
    """A page that serves one test after another: a new one costs a third more of the processor to load the app.

    It differs from a new page in what the browser has cached, and in nothing that the app can read.
    """

    def __init__(self, chromium) -> None:
        self._chromium, self._page, self._lent = chromium, None, False

    def borrow(self):
        """Return the page, or None while a test has it."""
        if self._lent:
            return None
        if self._page is None:
            self._page = self._chromium.new_context(**CONTEXT).new_page()
        self._lent = True
        return self._page

    def give_back(self, page, reusable: bool) -> None:
        """Forget all that a test left in the page; close the page if it is not `reusable`, or cannot forget."""
        from playwright.sync_api import Error

        self._lent = False
        try:
            if reusable:
                self._forget(page)
        except Error:
            reusable = False
        if not reusable:
            self.close()

    def _forget(self, page) -> None:
        context, origin = page.context, re.match(r"\w+://[^/]*", page.url)[0]
        page.evaluate("sessionStorage.clear()")
        page.goto(NOWHERE)  # if the app asks whether to drop what is not saved, Playwright agrees
        for other in context.pages:
            if other is not page:
                other.close()
        page.unroute_all(behavior="ignoreErrors")
        page.mouse.move(0, 0)
        page.set_viewport_size(CONTEXT["viewport"])
        context.set_offline(False)
        context.clear_cookies()
        session = context.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        session.send("Page.resetNavigationHistory")
        session.detach()

    def close(self) -> None:
        page, self._page = self._page, None
        if page is not None:
            page.context.close()


@pytest.fixture(scope="session")
def spare_page(chromium):
    spare = SparePage(chromium)
    yield spare
    spare.close()


@pytest.fixture
def open_page(chromium, spare_page, request):
    """open_page(url, **context) -> a page of a browser that has seen nothing yet; a script error, or a load
    that the app's own policy forbids, fails the test.

    It is known there who came in: what is typed sooner may be overwritten (test_entering.py)."""
    contexts, borrowed, errors, failed = [], [], [], request.session.testsfailed

    def page_error(error):
        errors.append(str(error))

    def console(said):
        if POLICY in said.text:
            errors.append(said.text)

    def opened(url, **more):
        # What a test does before it opens the app may not be undone later; of a context's options, only the size can.
        page = spare_page.borrow() if url != NOWHERE and set(more) <= {"viewport"} else None
        if page is not None:
            borrowed.append(page)
            if "viewport" in more:
                page.set_viewport_size(more["viewport"])
        else:
            contexts.append(chromium.new_context(**{**CONTEXT, **more}))
            page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MILLISECONDS)
        page.on("pageerror", page_error)
        page.on("console", console)
        page.goto(url)
        if url != NOWHERE:
            page.wait_for_selector("html[data-known]")
        return page

    yield opened
    for context in contexts:
        context.close()
    for page in borrowed:
        for event, listener in (("pageerror", page_error), ("console", console)):
            page.remove_listener(event, listener)
        spare_page.give_back(page, reusable=not page.is_closed() and request.session.testsfailed == failed)
    assert errors == []


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("BYE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.delenv("BYE_HOSTED", raising=False)
    (tmp_path / "home" / "runs").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def made(home):
    """made(**sizes) -> the folder of a finished run named "made", as `make_run` draws it."""

    def make(**sizes):
        path = make_run(home / "made", **sizes)
        pipeline.detect_run(path, "bye")
        return path.rename(home / "runs" / "made")

    return make


class Servers:
    """Apps in this process. They read BYE_HOME at each request, so one app serves all tests."""

    def __init__(self) -> None:
        self.urls, self.pages = {}, []

    def start(self, run: str) -> str:
        """Build and serve the app; return its address."""
        from bye_core.ui import app, server

        page = app.build(run)
        _, url, _ = server.launch(page, prevent_thread_lock=True, quiet=True)
        self.pages.append(page)
        return url

    def close(self) -> None:
        for page in self.pages:
            page.close(verbose=False)


@pytest.fixture(scope="session")
def servers():
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture
def serve(home, servers):
    """serve(run) -> address of an app in this process that opens `run` first. It may have served earlier tests."""
    from bye_core.ui.workspace import hosted

    def served(run="made"):
        key = run, hosted()  # the app is built differently for a public host
        if key not in servers.urls:
            servers.urls[key] = servers.start(run)
        return servers.urls[key]

    return served


@pytest.fixture
def serve_new(home):
    """serve_new(run) -> address of an app that is built for this test alone, with what the test has patched."""
    servers = Servers()
    yield servers.start
    servers.close()


class Served:
    """`python app.py` as a process of its own, to be killed; `log` takes what it prints."""

    def __init__(self, run: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        command = [sys.executable, "app.py", "--run", run, "--host", "127.0.0.1", "--port", str(port)]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        self._log = log
        self._wait(time.monotonic() + START_SECONDS)

    def _wait(self, deadline: float) -> None:
        while True:
            try:
                with urllib.request.urlopen(self.url, timeout=5):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    pytest.fail(f"the app did not start:\n{self._log.read_text()[-2000:]}")
                time.sleep(0.1)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serve_apart(home):
    """serve_apart(run) -> Served."""
    started = []

    def served(run="made"):
        started.append(Served(run, home / f"app-{len(started)}.log"))
        return started[-1]

    yield served
    for one in started:
        one.kill()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """The folder of a tiny model, made once for all workers: they need not load torch for it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / "tiny.lock"):
        if not (shared / "tiny").is_dir():
            from tests.models.tiny import save_tiny

            save_tiny(shared / "unfinished").rename(shared / "tiny")
    return shared / "tiny"


@pytest.fixture
def expect(chromium):
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MILLISECONDS)
    return expect


@pytest.fixture
def fresh():
    """fresh(page, selector) -> the field in a tab or an accordion that was just opened, once it keeps what it gets.

    Gradio gives all that comes into the page with a first opening its first values once more, in the next frame: before
    anybody sees the field, but after a script that does not wait until the page is quiet may have filled it.
    """

    def found(page, selector):
        field = page.locator(selector)
        field.first.wait_for(state="attached")
        page.evaluate(QUIET)
        return field

    return found


@pytest.fixture
def click_until():
    """click_until(button, done): click until `done()`. The page drops a click while an earlier one is answered."""

    def clicked(button, done):
        until(lambda: done() or (button.is_enabled() and button.click()) or button.page.wait_for_timeout(1000))

    return clicked


class Held:
    """The paused processes of a job: its supervisor, the command, and the training that the command started."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes

    def resume(self) -> None:
        for process in self._processes:
            process.resume()

    def stop(self) -> None:
        """After a click on Stop: resume each process once SIGTERM waits for it, so that none makes further steps."""
        for process in self._processes:
            with suppress(psutil.NoSuchProcess, FileNotFoundError):  # killed, because the machine is very busy
                until(lambda process=process: is_asked_to_stop(process), START_SECONDS)
                process.resume()


def is_asked_to_stop(process: psutil.Process) -> bool:
    """Return whether SIGTERM waits for a paused process. Only Linux shows this; elsewhere a second has to do."""
    if sys.platform != "linux":
        time.sleep(1)
        return True
    status = Path(f"/proc/{process.pid}/status").read_text()
    pending = int(re.search(r"^ShdPnd:\s*(\w+)", status, re.MULTILINE)[1], 16)
    return bool(pending >> (signal.SIGTERM - 1) & 1)


def hold(job, done: int) -> Held:
    """Pause a job with at least `done` of its steps finished, so that it cannot end while a page opens."""
    deadline = time.monotonic() + START_SECONDS
    while job.progress().done < done:
        assert time.monotonic() < deadline, job.log()
        time.sleep(0.02)
    leader = psutil.Process(job.pid)
    processes = [leader, *leader.children(recursive=True)]
    for process in processes:
        process.suspend()
    assert job.state == jobs.RUNNING, f"the job has ended before it could be paused:\n{job.log()}"
    return Held(processes)


class Review:
    """What a person sees and does on the Review page."""

    def __init__(self, page) -> None:
        self.page = page
        # It is there before Gradio is, and moves once: see test_entering.py.
        page.wait_for_selector("#review [data-part=page][data-sample]")

    def part(self, name):
        return self.page.locator(f"[data-part={name}]")

    @property
    def sample(self) -> str:
        return self.part("page").get_attribute("data-sample")

    @property
    def listed(self) -> int:
        """Samples in the list: "3 of 98" -> 98."""
        return int(re.sub(r".* of |,|none", "", self.part("count").inner_text()) or 0)

    def ids(self, count: int) -> list[str]:
        """The first ids of the list, top down."""
        self.page.wait_for_function(f"() => document.querySelectorAll('.rv-id:not(:empty)').length >= {count}")
        rows = self.page.evaluate(ROWS)
        return [id for _, id in sorted(rows)][:count]

    def show(self, name: str) -> None:
        self.part("show").select_option(name)
        self.settle()

    def settle(self) -> None:
        """Wait until no list and no decision is on its way."""
        self.page.wait_for_function(
            "() => !document.querySelector('[data-part=page][aria-busy]') && !document.querySelector('.rv-pending')"
            " && !document.querySelector('[data-part=progress]').textContent.includes('saving')"
        )


@pytest.fixture
def review():
    return Review


@pytest.fixture
def copy_run(home):
    """copy_run(path, name) -> the same run once more under another name."""
    return lambda path, name: Path(shutil.copytree(path, home / "runs" / name))
