"""New LLaVA sets appear when complete, load again, and their file names reveal nothing."""

import json

import pytest
from PIL import Image

from bye_core.data import load_dataset
from bye_core.data.llava_set import FolderInUse, UnknownEncoding, write_llava_set
from bye_core.records import Sample, Turn


def items(count, fail_at=None):
    for i in range(count):
        if i == fail_at:
            raise RuntimeError("the source broke")
        turns = (Turn("user", (0, f"question {i}?")), Turn("assistant", (f"answer {i}",)))
        yield Sample(f"id-{i}", i, turns, ("x.png",)), [Image.new("RGB", (20, 10), (40 * (i // 2), 0, 0))]


@pytest.mark.parametrize(("encoding", "ending"), [("jpeg", "jpg"), ("png", "png"), ("webp", "webp")])
def test_a_composed_set_loads_again(tmp_path, encoding, ending):
    written = list(write_llava_set(items(4), tmp_path / "out", encoding, {"truth.json": {"poisoned": []}}))
    dataset = load_dataset(tmp_path / "out/data.json")
    assert [(s.id, s.turns) for s in dataset.samples] == [(s.id, s.turns) for s in written]
    assert dataset.images(dataset.samples[0])[0].size == (20, 10)
    names = sorted(path.name for path in (tmp_path / "out/images").iterdir())
    assert len(names) == 2, "equal pictures are stored once"
    assert all(name.endswith(f".{ending}") and len(name.partition(".")[0]) == 16 for name in names)
    assert json.loads((tmp_path / "out/truth.json").read_text()) == {"poisoned": []}


def test_a_broken_source_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="the source broke"):
        list(write_llava_set(items(4, fail_at=2), tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_used_folders_and_unknown_encodings_are_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("keep")
    with pytest.raises(FolderInUse):
        list(write_llava_set(items(1), tmp_path / "out"))
    assert (tmp_path / "out/mine.txt").read_text() == "keep"
    with pytest.raises(UnknownEncoding, match="jpeg, png, webp"):
        list(write_llava_set(items(1), tmp_path / "other", "bmp"))
