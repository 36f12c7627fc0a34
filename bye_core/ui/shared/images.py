"""The pictures of a run's data set as pages show them: decoded safely, scaled down, as data URIs. No gradio."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from bye_core.data import DataSet, load_dataset
from bye_core.data.images import EMBEDDED_PREFIX, decode
from bye_core.errors import ByeError, DataError
from bye_core.records import Sample
from bye_core.runs import RunSettings
from bye_core.ui.shared.cache import Cache

# Longest edge in pixels: the page never shows a picture larger, and a thumbnail is 56 px wide at twice the density.
DISPLAY, THUMBNAIL = 1024, 112
# Smaller pictures travel without loss: a trigger of a few pixels stays as it is.
LOSSLESS_PIXELS = 256 * 256

KEPT_SETS, KEPT_PICTURES, KEPT_THUMBNAILS = 4, 64, 4096
# A set that could not be read is tried again after this many seconds, not with every thumbnail.
RETRY_SECONDS = 5.0


class SampleChanged(DataError):
    problem = "The data set has changed since the scan, and this picture lies inside its table."
    remedy = "Put the scanned version back, or scan the new one."


class Shown(NamedTuple):
    """A picture as the page takes it. `width` and `height` are the original's, upright."""

    src: str
    width: int
    height: int


_sets, _pictures, _thumbnails = Cache(KEPT_SETS), Cache(KEPT_PICTURES), Cache(KEPT_THUMBNAILS)


def data_set(settings: RunSettings) -> DataSet:
    """The set that the run was made of, as it lies on disk now; remembered until its file changes."""
    columns = settings.more.get("columns") or {}
    key = (settings.data, settings.format, *sorted(columns.items()), *_stamp(Path(settings.data)))

    def load() -> DataSet | ByeError:
        try:
            return load_dataset(settings.data, settings.format, columns)
        except ByeError as error:
            return error

    found = _sets.get(key, load)
    if isinstance(found, ByeError):
        found = _sets.get((*key, int(time.monotonic() / RETRY_SECONDS)), load)
    if isinstance(found, ByeError):
        raise found
    return found


def _stamp(path: Path) -> tuple:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size


def has_changed(settings: RunSettings) -> bool:
    """Whether the set is not the one that was scanned."""
    return data_set(settings).digest != settings.data_digest


def shown(settings: RunSettings, sample: Sample, number: int) -> Shown:
    """Picture `number` of the sample, for display. Raises a DataError that says what is wrong with it."""
    key = (settings.data, settings.data_digest, sample.id, number)
    return _pictures.get(key, lambda: encoded(opened(settings, sample, number), DISPLAY))


def shown_picture(picture: Image.Image) -> Shown:
    """A picture that is in no data set, for display."""
    return encoded(picture, DISPLAY)


def thumbnail(settings: RunSettings, sample: Sample) -> str:
    """The sample's first picture, small; "" where it has none or none that can be read."""
    if not sample.images:
        return ""
    name = sample.images[0]
    # Many samples may share a file; inside a table each has its own.
    key = (settings.data, settings.data_digest, sample.id if name.startswith(EMBEDDED_PREFIX) else "", name)
    try:
        return _thumbnails.get(key, lambda: encoded(opened(settings, sample, 0), THUMBNAIL)).src
    except ByeError:
        return ""


def opened(settings: RunSettings, sample: Sample, number: int) -> Image.Image:
    """Picture `number` of the sample as it is. Raises a DataError that says what is wrong with it."""
    dataset = data_set(settings)
    if dataset.digest != settings.data_digest and sample.images[number].startswith(EMBEDDED_PREFIX):
        raise SampleChanged()
    return decode(dataset.image_bytes(sample, number), sample.images[number])


def encoded(picture: Image.Image, longest: int) -> Shown:
    """For a page, at most `longest` pixels a side; the picture handed in is scaled down for it."""
    size = picture.size
    # Halved first where it is much too large: a fifth of the time, and no difference to be seen.
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
    content = io.BytesIO()
    if longest == THUMBNAIL:
        kind, options = "webp", {"quality": 80, "method": 0}
    elif picture.width * picture.height <= LOSSLESS_PIXELS:
        kind, options = "png", {}
    else:
        kind, options = "jpeg", {"quality": 90, "subsampling": 0}
    picture.save(content, kind, **options)
    return Shown(f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}", *size)
