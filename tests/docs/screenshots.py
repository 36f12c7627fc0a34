"""Makes the pictures of the README and of docs/benchmarks.md: the app with its examples, in Chromium.

python -m tests.docs.screenshots              # writes assets/readme/*.webp
python -m tests.docs.screenshots --layer RUN scenes-layer.webp  # the best layer of a run, for docs/benchmarks.md
python -m tests.docs.screenshots --all FOLDER # every tab, wide and narrow, light and dark, as PNG files
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from bye_core.ui.demo_run import EXAMPLES

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "readme"
LARGEST = 150_000  # bytes of a picture
README = {"review": ".rv-main .rv-picture", "layers": "#plot-heads .hm"}  # tab -> what is visible when it is drawn
SIZE, SIZES = (1440, 900), {"1280": (1280, 800), "420": (420, 900)}
WAIT = 60_000  # ms
SETTLED = """() => new Promise((done) => {
  let left = 400;  // stop waiting after that many frames
  const quiet = () => !document.querySelector('[aria-busy="true"], .rv-waiting, .generating, .progress-text')
    && [...document.images].every((image) => image.complete);
  let calm = 0;
  const wait = () => {
    calm = quiet() ? calm + 1 : 0;
    if (calm > 30 || !left--) done();
    else requestAnimationFrame(wait);
  };
  wait();
})"""


@contextmanager
def app(home: Path) -> Iterator[str]:
    """Serve the app with an empty home, so that it opens the demo; yield its address."""
    os.environ.update(BYE_HOME=str(home), GRADIO_ANALYTICS_ENABLED="False")
    from bye_core.ui import app, server

    page = app.build()
    _, url, _ = server.launch(page, prevent_thread_lock=True, quiet=True)
    try:
        yield url
    finally:
        page.close(verbose=False)


@contextmanager
def chromium() -> Iterator:
    from playwright.sync_api import sync_playwright

    from tests.e2e.browser import FLAGS, find_browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        yield browser
        browser.close()


def new_page(browser, size: tuple[int, int]):
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(WAIT)
    return page


def show(page, url: str, tab: str, ready: str = "") -> None:
    """Open a link to a tab, such as "layers" or "layers&run=NAME", and wait until it is drawn."""
    page.goto(f"{url}?tab={tab}")
    page.wait_for_selector("html[data-known]")
    page.locator(f"#tab-{tab.partition('&')[0]} >> visible=true").first.wait_for()
    if ready:
        page.locator(f"{ready} >> visible=true").first.wait_for()
    page.evaluate(SETTLED)


def write_readme(browser, url: str) -> None:
    page = new_page(browser, SIZE)
    for tab, ready in README.items():
        show(page, url, tab, ready)
        save(page.screenshot(), f"{tab}.webp")
    write_layer(browser, url, EXAMPLES[0].name, "photographs-layer.webp")


def write_layer(browser, url: str, run: str, picture: str) -> None:
    """Write the histogram of the best layer of a run, for docs/benchmarks.md."""
    page = new_page(browser, SIZE)
    show(page, url, f"layers&run={run}", "#plot-layer .plot-container")
    save(page.locator("#plot-layer").screenshot(), picture)


def save(png: bytes, name: str) -> None:
    path, picture = FOLDER / name, Image.open(io.BytesIO(png))
    for quality in (90, 80, 70, 60):
        picture.save(path, quality=quality, method=6)
        if path.stat().st_size <= LARGEST:
            break
    sys.stdout.write(f"{path.name}: {path.stat().st_size:,} bytes\n")


def write_all(browser, url: str, folder: Path) -> None:
    from bye_core.ui.tabs import TABS

    folder.mkdir(parents=True, exist_ok=True)
    for width, size in SIZES.items():
        page = new_page(browser, size)
        for tab in TABS:
            show(page, url, tab.name, README.get(tab.name, ""))
            for scheme in ("light", "dark"):
                page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", scheme == "dark")
                page.evaluate(SETTLED)
                page.screenshot(path=folder / f"{tab.name}-{width}-{scheme}.png", full_page=True)
            page.evaluate("document.body.classList.remove('dark')")
        page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", nargs=2, metavar=("RUN", "PICTURE"), help="write the best layer of this run")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="write pictures of every tab there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, app(Path(home)) as url, chromium() as browser:
        if args.all:
            write_all(browser, url, args.all)
        elif args.layer:
            shutil.copytree(args.layer[0], Path(home) / "runs" / "layer")
            write_layer(browser, url, "layer", args.layer[1])
        else:
            write_readme(browser, url)


if __name__ == "__main__":
    main()
