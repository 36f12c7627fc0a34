"""Puts the images of kept samples into the folder of an export, where the exported records name them."""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from bye_core.data.dataset import DataSet
from bye_core.data.faults import Refusal
from bye_core.data.images import EMBEDDED_PREFIX, file_suffix
from bye_core.data.listing import ANNOTATIONS
from bye_core.data.path_spellings import relative_path
from bye_core.data.paths import ImageFile, RootFolder
from bye_core.records import Sample


class ReservedName(Refusal):
    problem = "The image {name} of sample {id} has a name that the export needs for its own files."
    remedy = "Rename the image and correct its record, or leave the sample out."


class NameClash(Refusal):
    problem = "The image {name} of sample {id} would replace another image of the export."
    remedy = "Rename the image and correct its record, or leave the sample out."


class ExportImages:
    """Puts the images of samples into the folder of an export."""

    def __init__(self, dataset: DataSet, folder: Path) -> None:
        self._dataset, self._folder = dataset, folder
        self._root = RootFolder(dataset.root)
        self._done: set[str] = set()  # paths in records that are copied and stay as they are
        self._copied: dict[str, str] = {}  # the source of each copied file, by its name in the export

    def copy_named(self, sample: Sample) -> dict[str, str]:
        """Copy the image files that a sample names; return {path in the record: new path} where they differ."""
        changed = {}
        for name in dict.fromkeys(sample.images):
            if not name.startswith(EMBEDDED_PREFIX) and name not in self._done:
                found = self._copy(sample, name)
                if found.portable:
                    # A path like a/../b.png is valid in other programs only if there is a folder a.
                    for folder in found.crossed:
                        (self._folder / folder).mkdir(parents=True, exist_ok=True)
                    self._done.add(name)
                else:
                    changed[name] = relative_path(found.name)
        return changed

    def copy_all(self, sample: Sample) -> tuple[str, ...]:
        """Copy the images of a sample, also embedded ones; return their paths relative to the folder."""
        return tuple(
            self._write_embedded(sample, k)
            if name.startswith(EMBEDDED_PREFIX)
            else relative_path(self._copy(sample, name).name)
            for k, name in enumerate(sample.images)
        )

    def _write_embedded(self, sample: Sample, k: int) -> str:
        data = self._dataset.image_bytes(sample, k)
        name = f"images/{sample.index:06d}-{k}{file_suffix(data)}"
        while (self._folder / name).exists():  # an image file of the source has this name
            name = name.replace("images/", "images/x", 1)
        (self._folder / name).parent.mkdir(exist_ok=True)
        (self._folder / name).write_bytes(data)
        return name

    def _copy(self, sample: Sample, name: str) -> ImageFile:
        """Put one image file where its path leads in the export: as a hard link if possible, else as a copy."""
        found = self._root.locate(name)
        # Directly in the export folder, such a file or folder would collide with a file of the export, or be read as
        # annotations.
        tops = {path.partition("/")[0].casefold() for path in (found.name, *found.crossed)}
        if any(top.endswith((*ANNOTATIONS, ".arrow")) for top in tops):
            raise ReservedName(name=name, id=sample.id)
        if found.name in self._copied:  # several samples share this image
            if self._copied[found.name] != str(found.file):
                raise NameClash(name=name, id=sample.id)
            return found
        self._copied[found.name] = str(found.file)
        target = self._folder / found.name
        if target.exists():  # the file system does not distinguish two names
            if not filecmp.cmp(target, found.file, shallow=False):
                raise NameClash(name=name, id=sample.id)
            return found
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(found.file, target)
        except OSError:  # another disk, a file system without links, or another owner
            shutil.copyfile(found.file, target)
        return found
