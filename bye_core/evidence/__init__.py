"""Why samples are flagged: where they look, what they answer, and what happens when the spot is covered. Pure."""

from bye_core.evidence.causal_outcome import (
    ASIDE,
    BESIDE,
    COVERED,
    ELSE,
    ELSEWHERE,
    FOUND,
    MANY,
    OUTCOMES,
    WAYS,
    WIDER,
    Cause,
    at_target,
    cause,
    totals,
)
from bye_core.evidence.causal_question import Question, question_of
from bye_core.evidence.consensus_map import Consensus, consensus, picture_map, raster_of
from bye_core.evidence.crops import Gallery, crop, crop_box, mean_crop
from bye_core.evidence.dossier import Dossier
from bye_core.evidence.exact_test import ALPHA, LEAST_P, Excess, Strata
from bye_core.evidence.occlusion import area, cover, paste
from bye_core.evidence.overrepresented_answers import ENDING, Shared, reaches, same_answer, shared_answers
from bye_core.evidence.overrepresented_words import OddWord, mark_inserted, odd_words, without
from bye_core.evidence.paste_targets import Carriers
from bye_core.evidence.places import Box, LayerChoice, Look, choose_layer, look, peak_shares
from bye_core.evidence.spot_growth import MOST_AT_FIRST, ROUNDS, Spots, SpotTrimming, controlled, widened
from bye_core.evidence.window_search import FRUITLESS, LEVELS, WINDOWS, bringing, spots_at

__all__ = [
    "ALPHA",
    "ASIDE",
    "BESIDE",
    "COVERED",
    "ELSE",
    "ELSEWHERE",
    "ENDING",
    "FOUND",
    "FRUITLESS",
    "LEAST_P",
    "LEVELS",
    "MANY",
    "MOST_AT_FIRST",
    "OUTCOMES",
    "ROUNDS",
    "WAYS",
    "WIDER",
    "WINDOWS",
    "Box",
    "Carriers",
    "Cause",
    "Consensus",
    "Dossier",
    "Excess",
    "Gallery",
    "LayerChoice",
    "Look",
    "OddWord",
    "Question",
    "Shared",
    "SpotTrimming",
    "Spots",
    "Strata",
    "area",
    "at_target",
    "bringing",
    "cause",
    "choose_layer",
    "consensus",
    "controlled",
    "cover",
    "crop",
    "crop_box",
    "look",
    "mark_inserted",
    "mean_crop",
    "odd_words",
    "paste",
    "peak_shares",
    "picture_map",
    "question_of",
    "raster_of",
    "reaches",
    "same_answer",
    "shared_answers",
    "spots_at",
    "totals",
    "widened",
    "without",
]
