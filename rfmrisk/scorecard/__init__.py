"""Scorecards: Weight of Evidence and a logistic regression, told in points."""

from rfmrisk.scorecard.scorecard import Scorecard, probability_to_score, score_to_probability

__all__ = ["Scorecard", "probability_to_score", "score_to_probability"]
