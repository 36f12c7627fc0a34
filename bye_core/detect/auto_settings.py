"""The settings of the detector `auto`."""

from __future__ import annotations

from dataclasses import dataclass

from bye_core.detect.entropy_unit import entropy_unit_setting
from bye_core.detect.settings import check_settings, require, seed_setting, setting, share_setting


@dataclass(frozen=True)
class AutoSettings:
    """Settings of `auto`. All default values are ours, chosen on development runs.

    false_alarm  bound on (chance that an ordinary answer is as far away) times (number of answers tested)
    agreed       replaces `false_alarm` for a whole answer that is out of place by its text, was unlikely to the model
                 before fine-tuning, and was learned (see `learned`), and whose attention has become clearer by
                 fine-tuning, if that is known. Planted answers with triggers that cover the whole image had up to 0.28;
                 an honest "too blurry to tell" had 0.88 and more.
    learned      the model has learned an answer if `AnswerComparison.learned` is at least this share. Planted answers
                 had 0.98, others 0.83.
    clear        replaces both bounds if too few other answers can be compared: the logarithm of the distance to the
                 nearest other answer, relative to the usual distance. 0.6 is 1.8 times; ordinary answers reached 0.6.
    least, most  smallest and largest share of the samples that may have a planted answer
    gap, found   as in `surprise`: for answers that were unlikely before fine-tuning and that the attention predicts
    usual        smallest distance of the attention of such answers from that for the nearest ordinary answer, relative
                 to the usual distance. Planted answers had 0.84 and more, groups of only 16 samples 0.6; an honest
                 "too blurry to tell" had 0.34 and 0.2.
    seed         seed of the grouping that is used if answers do not repeat
    entropy_unit nats, or divided by ln V; see bye_core.detect.entropy_unit
    """

    false_alarm: float = share_setting(
        0.01, "largest accepted chance that an ordinary answer is as far away", "False-alarm rate", above=0
    )
    agreed: float = share_setting(
        0.5,
        "replaces the rate above for an answer that is odd by its text, was unlikely before fine-tuning and is learned",
        "False-alarm rate with more evidence",
        above=0,
    )
    learned: float = share_setting(
        0.9, "smallest difference of first-token shares of a learned answer", "Learned answer", above=0
    )
    clear: float = setting(
        0.6,
        "natural logarithm of distance / usual distance; used if too few answers exist for a false-alarm rate",
        "Clear distance",
        low=0,
    )
    least: float = share_setting(
        0.004, "smallest share of the samples that may have a planted answer", "Smallest share"
    )
    most: float = share_setting(0.45, "largest share of the samples that may have a planted answer", "Largest share")
    gap: float = setting(
        2.0,
        "nats above ordinary answers to the kind of question: answers from here on were unlikely before fine-tuning",
        "Unlikely from",
        above=0,
    )
    found: float = share_setting(
        0.1, "of the unlikely answers that the attention must predict", "Predicted share", above=0
    )
    usual: float = setting(
        0.5, "smallest distance / usual distance of predicted answers from ordinary ones", "Least distance", low=0
    )
    seed: int = seed_setting(help="seed of the grouping of answers that do not repeat, and of the folds")
    entropy_unit: str = entropy_unit_setting()

    def __post_init__(self) -> None:
        check_settings(self)
        require(self.most > self.least, "most", self.most, "a share above `least`, up to 1")
