"""Attacks by name: settings, several triggers, JSON records, and errors for invalid input."""

import base64
import io
import json
import struct
import zlib

import pytest
from PIL import Image

from bye_core.attacks import (
    TRIGGERS,
    Attack,
    BadTriggerSetting,
    NoTrigger,
    SameTrigger,
    UnknownTrigger,
    UnknownTriggerSetting,
    attack_from_record,
    make_attack,
    make_trigger,
)
from bye_core.attacks.targets import SwappedWord
from bye_core.attacks.triggers.blend import OWN_IMAGE, key_of_image


def test_bad_names_and_settings_say_what_is_allowed():
    with pytest.raises(UnknownTrigger, match="patch, random, checkerboard, dual, multi, noise-patch, blend, sig"):
        make_trigger("sticker")
    with pytest.raises(UnknownTriggerSetting, match=r"Settings of blend: a, key, fields, pattern\."):
        make_trigger("blend", d=3)
    with pytest.raises(BadTriggerSetting, match="Give a number above 0 and at most 1"):
        make_trigger("patch", size=2)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *(("patch", {"size": size}) for size in (0, -1, 1.5, float("nan"), float("inf"), "big", None, True)),
        *(("blend", {"a": a}) for a in (0, 1.01)),
        *(("blend", {"key": key}) for key in ("cat.png", "", OWN_IMAGE, OWN_IMAGE + "!!", OWN_IMAGE + "AAAA")),
        *(("wanet", {"grid": grid}) for grid in (1, 4.5, 65)),
        *(("noise-patch", {"pattern": pattern}) for pattern in (-1, 2**32)),
        *(("prefix", {"text": text}) for text in ("", "  ", "see <image>", "\ud83d", "a\0")),
    ],
)
def test_settings_have_bounds(name, settings):
    with pytest.raises(BadTriggerSetting):
        make_trigger(name, **settings)


def test_settings_are_read_as_typed():
    attack = make_attack(["blend", "wanet"], {"a": "0.3", "grid": "6", "pattern": "7", "wanet.pattern": 8.0})
    blend, wanet = attack.triggers
    assert (blend.a, blend.pattern, wanet.grid, wanet.pattern) == (0.3, 7, 6, 8)
    with pytest.raises(UnknownTriggerSetting, match=r"\(blend \+ wanet\) has the setting 'size'"):
        make_attack(["blend", "wanet"], {"size": 1 / 8})
    with pytest.raises(UnknownTriggerSetting):
        make_attack(["blend"], {"wanet.grid": 4})


def test_an_attack_has_triggers_each_once():
    with pytest.raises(NoTrigger):
        make_attack([])
    with pytest.raises(SameTrigger):
        make_attack(["patch", "blend", "patch"])


def test_samples_carry_all_triggers_or_one_in_turn():
    names = lambda attack, turn: [trigger.name for trigger in attack.triggers_of(turn)]  # noqa: E731
    both = make_attack(["prefix", "patch"])
    assert [names(both, turn) for turn in range(2)] == [["prefix", "patch"]] * 2
    mixed = make_attack(["patch", "sig", "word"], mix=True)
    assert [names(mixed, turn) for turn in range(4)] == [["patch"], ["sig"], ["word"], ["patch"]]


@pytest.mark.parametrize("name", TRIGGERS)
def test_records_give_the_attack_back(name):
    attack = Attack((make_trigger(name),), SwappedWord("blue", word="red"), mix=True)
    assert attack_from_record(json.loads(json.dumps(attack.record()))) == attack


def test_a_picture_of_ones_own_travels_in_the_record():
    key = key_of_image(Image.linear_gradient("L").resize((640, 200)))
    attack = attack_from_record(json.loads(json.dumps(make_attack(["blend"], {"key": key}).record())))
    assert attack.triggers[0].key_pixels(64, 20).shape == (20, 64, 3)


@pytest.mark.parametrize("damage", ["large", "bomb", "cut", "garbled"])
def test_a_hostile_key_is_refused(damage):
    content = io.BytesIO()
    Image.linear_gradient("L").resize((300, 40) if damage == "large" else (64, 64)).save(content, "PNG")
    png = bytearray(content.getvalue())
    if damage == "bomb":
        header = b"IHDR" + struct.pack(">IIBBBBB", 2**16, 2**16, 8, 0, 0, 0, 0)
        png[12:33] = header + struct.pack(">I", zlib.crc32(header))
    elif damage == "cut":
        png = png[: len(png) // 2]
    elif damage == "garbled":
        png[41:60] = bytes(19)
    with pytest.raises(BadTriggerSetting):
        make_trigger("blend", key=OWN_IMAGE + base64.b64encode(png).decode())
