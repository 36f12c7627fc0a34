"""The effect in words: counts that machines can read, lists as buttons, texts escaped."""

from bye_core.ui.adjust.effect_card import LISTS, effect_card, incomplete_card, listed
from bye_core.ui.adjust.trial import Conflicts, Effect, Flips

SCORES = {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "auc": None, "unscanned": ["x"]}


def made(**changes):
    usual = {
        "total": 1000,
        "flagged": 98,
        "saved": False,
        "flips": Flips(("a", "b", "c"), ("d",), 0),
        "borderline": ("e",) * 12,
        "conflicts": Conflicts(("f",), ()),
        "decided": 37,
        "scores": None,
    }
    return Effect(**{**usual, **changes})


def test_counts_and_lists():
    html = effect_card(made())
    assert "<b>98</b> of 1,000 (9.8%)" in html
    for name, count in {"added": 3, "removed": 1, "borderline": 12, "accepted": 1}.items():
        assert f'data-list="{name}"' in html
        assert f'data-count="{name}" data-value="{count}"' in html
    assert 'data-list="rejected"' not in html
    assert "37 made by hand, all kept" in html


def test_an_empty_list_is_no_button():
    html = effect_card(made(borderline=(), flips=Flips(), conflicts=Conflicts(), decided=0, saved=True))
    assert "<button" not in html
    assert "these settings are in use" in html
    assert "none yet" in html


def test_scores_appear_with_a_truth_only():
    assert "truth" not in effect_card(made())
    html = effect_card(made(scores=SCORES))
    assert '<b data-score="precision">0.500</b>' in html
    assert '<b data-score="auc">not defined</b>' in html
    assert "1 poisoned samples are not scored" in html


def test_an_empty_run_has_no_share():
    assert "<b>0</b> of 0</span>" in effect_card(made(total=0, flagged=0))


def test_an_empty_field_is_named_and_leaves_no_numbers():
    html = incomplete_card("Separation needed (tau)")
    assert "Separation needed (tau)" in html
    assert "data-value" not in html, "earlier numbers would be of other settings"
    assert 'class="bye-effect"' in html, "the sidebar stays open"


def test_every_list_can_be_asked_for_and_no_other():
    effect = made()
    assert [len(listed(effect, name)) for name in LISTS] == [3, 1, 12, 1, 0]
    assert listed(effect, "__class__") == ()
