"""A flipped bit anywhere in what a run must not lose is repaired or named."""

from __future__ import annotations

import json
import random

import pytest

from bye_core.records import CausalCheck, Decision
from bye_core.runs import Run
from bye_core.runs.checksums import ChecksumError, seal, unseal
from bye_core.runs.errors import DamagedRun
from tests.runs.made_rows import make_run, make_samples, make_settings, scan

TEXT = json.dumps({"batch": "000001", "decisions": [{"id": "Jörg", "reviewer": "Jo", "note": "(-: ="}]}).encode()


def flip(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_a_sealed_object_is_json_and_opens():
    assert json.loads(seal(TEXT)) == json.loads(TEXT) | {"crc32": json.loads(seal(TEXT))["crc32"]}
    assert unseal(seal(TEXT)) == (TEXT, True, False)
    assert unseal(TEXT) == (TEXT, False, False), "earlier versions wrote no checksum"


def test_every_flipped_bit_is_repaired():
    sealed = seal(TEXT)
    assert all(unseal(flip(sealed, bit)).text == TEXT for bit in range(8 * len(sealed)))


def test_more_damage_is_an_error():
    sealed, chance = seal(TEXT), random.Random(0)
    for _ in range(300):
        damaged = sealed
        for bit in chance.sample(range(8 * len(TEXT) - 8), chance.randrange(2, 20)):
            damaged = flip(damaged, bit)
        with pytest.raises(ChecksumError):
            unseal(damaged)


@pytest.fixture
def run(tmp_path) -> Run:
    run = make_run(tmp_path / "run", 10, 4)
    run.decide([Decision("s1", "reject", "Jo"), Decision("s2", "accept")])
    run.decide([Decision("s3", "reject")])
    run.undo()
    run.decide([Decision("s4", "reject", note="M-J*")])
    return run


def test_a_flipped_bit_changes_no_decision(run):
    file = run.path / "decisions.jsonl"
    data, before = file.read_bytes(), run.decisions()
    for bit in range(0, 8 * len(data), 3):
        file.write_bytes(flip(data, bit))
        assert Run.open(run.path).decisions() == before, bit
    for bit in (8 * data.index(b"\n"), 8 * len(data) - 8):  # the end of a line, and of the file
        file.write_bytes(flip(data, bit))
        assert Run.open(run.path).decisions() == before, bit


def test_the_next_decision_repairs_the_file_and_keeps_the_damaged_one(run):
    file = run.path / "decisions.jsonl"
    data, before = file.read_bytes(), run.decisions()
    file.write_bytes(flip(data, 300))
    run.decide([Decision("s5", "reject")])
    assert file.read_bytes().startswith(data)
    assert (run.path / "decisions.damaged.jsonl").read_bytes() == flip(data, 300)
    assert run.decisions().keys() == before.keys() | {"s5"}


def test_damage_beyond_repair_is_named_and_kept(run):
    file = run.path / "decisions.jsonl"
    data = file.read_bytes()
    damaged = data[:30] + b"????" + data[34:]
    file.write_bytes(damaged)
    for action in (run.decisions, run.undo, lambda: run.decide([Decision("s5", "reject")])):
        with pytest.raises(DamagedRun, match=r"decisions\.jsonl of the run is damaged: line 1: its checksum"):
            action()
    assert file.read_bytes() == damaged


@pytest.mark.parametrize("fields", [{"choice": "keep"}, {"choice": 1}, {"id": 3}, {"more": "x"}])
def test_lines_of_earlier_versions_are_read_and_checked(run, fields):
    line = {"batch": "000009", "decisions": [{"id": "s7", "choice": "reject"}]}
    file = run.path / "decisions.jsonl"
    file.write_text(json.dumps(line) + "\n")
    assert run.decisions()["s7"].choice == "reject"
    line["decisions"][0] |= fields
    file.write_text(json.dumps(line) + "\n")
    with pytest.raises(DamagedRun, match="line 1"):
        run.decisions()


@pytest.mark.parametrize("name", ["run.json", "index.sqlite", "samples.jsonl"])
def test_a_scan_repairs_or_names_what_is_damaged(run, name):
    file, chance = run.path / name, random.Random(1)
    data = file.read_bytes()
    before = (run.settings, run.samples(), run.counts())
    for _ in range(20):
        file.write_bytes(flip(data, chance.randrange(8 * len(data))))
        again = Run.prepare(run.path, make_settings(created=run.settings.created), make_samples(10))
        scan(again, 0, 4)
        assert (again.settings, again.samples(), again.counts()) == before


def test_checks_have_a_checksum_and_those_of_earlier_versions_are_read(run):
    check = CausalCheck(**made_check("s1"))
    with run.checking() as file:
        file.append([check])
    assert json.loads(file.path.read_text())["crc32"]
    assert run.checks() == {"s1": check}
    data = file.path.read_bytes()
    file.path.write_bytes(flip(data, 100))
    assert run.checks() == {"s1": check}
    file.path.write_text(json.dumps([made_check("s2")]) + "\n")
    assert list(run.checks()) == ["s2"]


def made_check(id: str) -> dict:
    return {"id": id, "key": "k", "given": {"all": "a cat"}, "covered": []}
