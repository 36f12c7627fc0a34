"""Prepares images of a run's data set for pages: safely decoded, scaled down, as data URIs. No gradio."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from bye_core import pipeline
from bye_core.data import DataSet
from bye_core.data.images import EMBEDDED_PREFIX, decode
from bye_core.errors import ByeError, DataError
from bye_core.records import Sample
from bye_core.runs import RunSettings
from bye_core.ui.shared.cache import Cache

# Longest edge in pixels. Thumbnails are 56 px wide on screens with double density, tiles fill a card of the grid, and
# the full-screen view shows originals.
DISPLAY, THUMBNAIL, TILE, ORIGINAL = 1024, 112, 320, 8192
# Images with at most so many pixels are sent without loss, so that a small trigger stays unchanged. For originals the
# limit is larger: there, single pixels are inspected.
LOSSLESS_PIXELS, LOSSLESS_ORIGINAL = 256 * 256, 2048 * 2048

KEPT_SETS, KEPT_IMAGES, KEPT_THUMBNAILS, KEPT_TILES = 4, 64, 4096, 512
# seconds after which an unreadable data set is read again, instead of with every thumbnail
RETRY_SECONDS = 5.0
LARGE_SET = 64 * 2**20  # bytes of a file that is read for more than a second (ours)


class SampleChanged(DataError):
    problem = "The data set has changed since the scan, and its table holds this image."
    remedy = "Restore the scanned version, or scan the new one."


class Shown(NamedTuple):
    """An image for a page.

    `src` is the image as a data URI, scaled down if it was large. `width` and `height` are the size in pixels before
    scaling, after the EXIF rotation.
    """

    src: str
    width: int
    height: int


_opened: set[tuple] = set()  # keys of the sets that were read
_sets, _images = Cache(KEPT_SETS), Cache(KEPT_IMAGES)
_small = {THUMBNAIL: Cache(KEPT_THUMBNAILS), TILE: Cache(KEPT_TILES)}


def data_set(settings: RunSettings) -> DataSet:
    """Return the run's data set. It stays in memory until its file changes.

    Raises: DataError if the data set cannot be read.
    """
    reading, key = pipeline.scanned_reading(settings), _key(settings)

    def load() -> DataSet | ByeError:
        try:
            return pipeline.load(pipeline.scanned_path(settings, "data"), reading)
        except ByeError as error:
            return error

    found = _sets.get(key, load)
    if isinstance(found, ByeError):
        found = _sets.get((*key, int(time.monotonic() / RETRY_SECONDS)), load)
    if isinstance(found, ByeError):
        raise found
    _opened.add(key)
    return found


def opens_at_once(settings: RunSettings) -> bool:
    """Return whether the run's data set is small, or was opened before: a page need not wait for it."""
    key = _key(settings)
    size = key[-1]  # the path itself if there is no file
    return key in _opened or not isinstance(size, int) or size < LARGE_SET


def _key(settings: RunSettings) -> tuple:
    return (settings.data, *pipeline.scanned_reading(settings).arguments(), *_stamp(Path(settings.data)))


def _stamp(path: Path) -> tuple:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size


def has_changed(settings: RunSettings) -> bool:
    """Return whether the data set differs from the scanned one."""
    return data_set(settings).digest != settings.data_digest


def shown(settings: RunSettings, sample: Sample, number: int) -> Shown:
    """Return image `number` of the sample for display. Raises: DataError if the image or the set cannot be read."""
    key = (settings.data, settings.data_digest, sample.id, number)
    return _images.get(key, lambda: encoded(opened(settings, sample, number), DISPLAY))


def original(settings: RunSettings, sample: Sample, number: int) -> Shown:
    """Return image `number` of the sample in its own pixels. Raises: DataError if the image or set cannot be read."""
    return encoded(opened(settings, sample, number), ORIGINAL)


def shown_image(image: Image.Image) -> Shown:
    """Return an image that is not in a data set, for display."""
    return encoded(image, DISPLAY)


def thumbnail(settings: RunSettings, sample: Sample) -> str:
    """Return the data URI of a thumbnail of the sample's first image; "" if it has none or it cannot be read."""
    found = small(settings, sample, THUMBNAIL)
    return found.src if found else ""


def small(settings: RunSettings, sample: Sample, longest: int = TILE) -> Shown | None:
    """Return the sample's first image as a thumbnail or tile; None if it has no image or it cannot be read."""
    if not sample.images:
        return None
    name = sample.images[0]
    # Many samples may share an image file; in a table, each sample has its own image.
    key = (settings.data, settings.data_digest, sample.id if name.startswith(EMBEDDED_PREFIX) else "", name)
    try:
        return _small[longest].get(key, lambda: encoded(opened(settings, sample, 0), longest))
    except ByeError:
        return None


def opened(settings: RunSettings, sample: Sample, number: int) -> Image.Image:
    """Return image `number` of the sample at full size.

    Raises: SampleChanged if the set has changed since the scan and its table holds the image; another DataError if
    the image or the set cannot be read.
    """
    dataset = data_set(settings)
    if dataset.digest != settings.data_digest and sample.images[number].startswith(EMBEDDED_PREFIX):
        raise SampleChanged()
    return decode(dataset.image_bytes(sample, number), sample.images[number])


def encoded(image: Image.Image, longest: int) -> Shown:
    """Scale `image` down in place to at most `longest` pixels a side, and encode it as a data URI."""
    size = image.size
    # The reducing gap shrinks large images roughly first: it takes a fifth of the time, without visible difference.
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
    content = io.BytesIO()
    pixels, lossless = image.width * image.height, LOSSLESS_ORIGINAL if longest == ORIGINAL else LOSSLESS_PIXELS
    if longest in _small:
        kind, options = "webp", {"quality": 80, "method": 0}
    elif pixels <= lossless:
        kind, options = "png", {}
    else:
        kind, options = "jpeg", {"quality": 90, "subsampling": 0}
    image.save(content, kind, **options)
    return Shown(f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}", *size)
