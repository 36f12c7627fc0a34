"""A data set in HTML: foreign text is shown, bounded, and does nothing."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

import pytest

from bye_core.data import load_dataset
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.messages import alert, clip, discreet
from bye_core.ui.tabs.data import cards
from bye_core.ui.tabs.data.columns import NOTHING, guess, renamed
from bye_core.ui.tabs.data.validation import Checked, check, checked
from bye_core.ui.workspace import NoSuchRun, new_token
from tests.made_run import make_data

HOSTILE = "<image>\n<img src=x onerror=alert(1)>'\"&${7*7}{{value}}\u202e\x07 " + "long " * 400


@pytest.fixture
def hostile(tmp_path):
    data = make_data(tmp_path / "d", 30)
    records = json.loads(data.read_text())
    records[0]["conversations"][0]["value"] = HOSTILE
    records[0]["id"] = "<b id='x'>"
    records[1]["image"] = "images/<i>none</i>.png"
    records[2]["image"] = "../../etc/passwd"
    data.write_text(json.dumps(records))
    (tmp_path / "d/images/5.png").write_bytes(b"broken")
    return load_dataset(data)


def test_cards_escape_bound_and_page(hostile):
    html = cards.cards(hostile, 0)
    assert html.count("<li") == cards.PAGE
    assert cards.cards(hostile, 1).count("<li") == 4
    assert cards.pages(hostile) == 2
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "<b id=" not in html
    assert "\u202e" not in html
    assert "\x07" not in html
    assert max(map(len, re.findall(r">([^<>]*)<", html))) < 300
    assert html.count("cannot be opened") == 1


def test_the_full_look_finds_broken_pictures_and_is_kept(hostile):
    assert not checked(hostile).complete
    states = list(check(hostile, str(hostile.path)))
    assert states[-1].complete
    assert checked(hostile) == states[-1]
    assert len(checked(hostile).unusable()) == 3
    html = cards.fault_list(checked(hostile))
    for words in ("missing image", "image outside dataset", "broken image", "left out of scan and export"):
        assert words in html
    assert "<i>none" not in html
    assert cards.fault_title(checked(hostile)) == "Faults: 3 records refused"
    summary = cards.summary(Choice("k"), hostile, checked(hostile))
    assert "<dd>27</dd>" in summary


def test_thousands_of_faults_stay_a_short_page(hostile):
    many = Checked(1, 1, tuple(hostile.faults) * 5000)
    assert len(cards.fault_list(many)) < 50_000
    assert "5,000" in cards.fault_list(many)


def test_no_fault_is_said_in_words(hostile):
    assert "No fault found" in cards.fault_list(Checked(3, 3, ()))
    assert "Not all images are checked yet" in cards.fault_list(Checked(0, 3, ()))


def test_the_list_of_sets_escapes_keys():
    html = cards.list_of_sets([Choice("/a/'><script>x</script>", found="llava")], demo=True)
    assert "<script" not in html
    assert "data-open='demo'" in html


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (("id", "image", "question", "answer"), ("id", NOTHING, "image", "question", "answer")),
        (("nr", "file_name", "Prompt", "response"), ("nr", NOTHING, "file_name", "Prompt", "response")),
        (("x", "y"), (NOTHING,) * 5),
        (("text", "img"), (NOTHING, NOTHING, "img", NOTHING, "text")),
    ],
)
def test_columns_are_guessed_by_their_usual_names(seen, expected):
    assert tuple(guess("vqa", seen).values()) == expected


def test_only_what_differs_is_renamed():
    assert renamed("vqa", ("nr", NOTHING, "image", "Prompt", "")) == {"id": "nr", "question": "Prompt"}
    assert guess("vqa", ("a", "b"), {"question": "b"})["question"] == "b"


def test_text_is_clipped_to_one_bounded_line():
    assert clip("a\n b\tc", 10) == "a b c"
    assert clip("x" * 10**7, 20) == "x" * 19 + "…"
    assert clip("\ud800\x00ok", 20) == "\ufffd\ufffdok"


def test_a_public_host_names_no_folder_of_its_own(home, monkeypatch):
    token = new_token()
    text = f"{home}/visitors/{token}/data/x and {home}/secret"
    assert discreet(text) == text
    monkeypatch.setenv("BYE_HOSTED", "1")
    assert discreet(text) == "data/x and secret"
    assert str(home) not in alert(NoSuchRun(name=f"{home}/<b>"))
    elsewhere = home.parent / "downloads"  # HF_HOME may lie anywhere
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(elsewhere / "hub"))
    assert discreet(f"{elsewhere}/hub/models--a--b/config.json is broken") == "models--a--b/config.json is broken"
    for folder in (Path(tempfile.gettempdir()), Path.cwd(), Path(sys.prefix), Path(sys.base_prefix)):
        assert discreet(f"Cannot read {folder}/x.json in {folder}") == "Cannot read x.json in the server's folder"
    assert discreet(f"see /data{tempfile.gettempdir()}/x") == f"see /data{tempfile.gettempdir()}/x"  # not that folder
    assert "&lt;b&gt;" in alert(NoSuchRun(name="<b>"))
