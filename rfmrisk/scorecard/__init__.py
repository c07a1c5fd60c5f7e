"""Scorecards: Weight of Evidence and a logistic regression, in points."""

from rfmrisk.scorecard.curves import CutoffDisplay, GainsDisplay, SelectionDisplay, SwapSetDisplay
from rfmrisk.scorecard.cutoffs import (
    cutoff_sentence,
    cutoff_table,
    gains_table,
    swap_set,
    swap_sides,
)
from rfmrisk.scorecard.grades import Grades
from rfmrisk.scorecard.scale import probability_to_score, score_to_probability
from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.scorecard.selection import StepwiseSelector

__all__ = [
    "CutoffDisplay",
    "GainsDisplay",
    "Grades",
    "Scorecard",
    "SelectionDisplay",
    "StepwiseSelector",
    "SwapSetDisplay",
    "cutoff_sentence",
    "cutoff_table",
    "gains_table",
    "probability_to_score",
    "score_to_probability",
    "swap_set",
    "swap_sides",
]
