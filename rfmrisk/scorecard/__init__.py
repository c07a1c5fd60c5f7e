"""Scorecards: Weight of Evidence and a logistic regression, told in points."""

from rfmrisk.scorecard.curves import SelectionDisplay
from rfmrisk.scorecard.scorecard import Scorecard, probability_to_score, score_to_probability
from rfmrisk.scorecard.selection import StepwiseSelector

__all__ = [
    "Scorecard",
    "SelectionDisplay",
    "StepwiseSelector",
    "probability_to_score",
    "score_to_probability",
]
