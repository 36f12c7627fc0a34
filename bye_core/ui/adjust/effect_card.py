"""Shows the effect of a trial as counts of samples. Each count is a button that lists its samples. No gradio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from bye_core.text import verdict_words
from bye_core.ui.adjust.trial import Effect
from bye_core.ui.shared.glossary import TERMS, tooltip

# The lists that a button can open, with the tooltip of the button.
LISTS = {
    "added": "flagged now, but not with the settings in use",
    "removed": "no longer flagged",
    "borderline": TERMS["borderline"].meaning.rstrip("."),
    "accepted": "accepted by hand, but flagged",
    "rejected": "rejected by hand, but not flagged",
}


def listed(effect: Effect, name: str) -> tuple[str, ...]:
    """Return the ids in the list `name`, one of LISTS."""
    return {
        "added": effect.flips.added,
        "removed": effect.flips.removed,
        "borderline": effect.borderline,
        "accepted": effect.conflicts.accepted_flagged,
        "rejected": effect.conflicts.rejected_unflagged,
    }.get(name, ())


def effect_card(effect: Effect) -> str:
    rows = [_flagged(effect), _flips(effect), _term_row("borderline", _button(effect, "borderline", "{n:,}"))]
    rows.append(_by_hand(effect))
    if effect.scores is not None:
        rows.append(_scores(effect.scores))
    return f'<dl class="bye-effect">{"".join(rows)}</dl>'


def incomplete_card(field: str) -> str:
    """Return the HTML that replaces the counts while `field` is empty: earlier counts would be of other settings."""
    words = f"Enter a value for “{field}” to see the effect. The figures still show the last complete settings."
    return f'<dl class="bye-effect"><div><dt>no result</dt><dd data-count="none">{escape(words)}</dd></div></dl>'


def _flagged(effect: Effect) -> str:
    share = f" ({effect.flagged / effect.total:.1%})" if effect.total else ""
    words = f"<b>{effect.flagged:,}</b> of {effect.total:,}{share}"
    row = _term_row("flagged", f'<span data-count="flagged" data-value="{effect.flagged}">{words}</span>')
    if effect.flagged or not effect.verdict:
        return row
    return row + _row("verdict", escape(verdict_words(effect.verdict, effect.flagged, effect.total)))


def _flips(effect: Effect) -> str:
    fresh = effect.flips.fresh
    late = f'<p class="bye-hint">{fresh:,} samples were scored after the detection in use.</p>' if fresh else ""
    if not effect.flips.added and not effect.flips.removed:
        words = "none (these settings are in use)" if effect.saved else "none"
        return _row("changes", f"{words}{late}")
    kinds = (("added", "+{n:,} newly flagged"), ("removed", "−{n:,} no longer flagged"))
    return _row("changes", _buttons(effect, kinds) + late)


def _by_hand(effect: Effect) -> str:
    if not effect.decided:
        return _row("decisions", "none yet")
    kinds = (("accepted", "{n:,} accepted, but flagged"), ("rejected", "{n:,} rejected, but not flagged"))
    return _row("decisions", f"{effect.decided:,} made by hand, all kept<br>{_buttons(effect, kinds) or 'no conflict'}")


def _scores(scores: Mapping[str, Any]) -> str:
    cells = "".join(
        f'<span class="bye-score">{tooltip(key)} <b data-score="{key}">{_number(scores[key])}</b></span>'
        for key in ("precision", "recall", "f1", "auc")
    )
    unscanned = len(scores["unscanned"])
    more = f'<p class="bye-hint">{unscanned:,} poisoned samples are not scored.</p>' if unscanned else ""
    return _row("against the truth", cells + more)


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _row(name: str, content: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{content}</dd></div>"


def _term_row(key: str, content: str) -> str:
    """Return a row whose name is a term of the glossary."""
    return f"<div><dt>{tooltip(key)}</dt><dd>{content}</dd></div>"


def _buttons(effect: Effect, kinds: Iterable[tuple[str, str]]) -> str:
    """Return one line of HTML with a button for each list that is not empty."""
    return "<br>".join(_button(effect, name, words) for name, words in kinds if listed(effect, name))


def _button(effect: Effect, name: str, words: str) -> str:
    """Return a button that opens the list in Review, or only the number if the list is empty."""
    count, hint = len(listed(effect, name)), escape(LISTS[name], quote=True)
    text = f'<span data-count="{name}" data-value="{count}">{words.format(n=count)}</span>'
    if not count:
        return text
    return f'<button type="button" class="bye-list" data-list="{name}" title="{hint}: open in Review">{text}</button>'
