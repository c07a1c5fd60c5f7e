"""From features to answers: probability, score, and the reasons with their points."""

from dataclasses import dataclass

import numpy as np

from rfmrisk._nested import FlatHistories
from rfmrisk.scorecard import Scorecard
from rfmrisk.scoring import ScoringModel
from rfmrisk.serving.cards import CardRater
from rfmrisk.serving.features import Columns, FeatureRecipe
from rfmrisk.serving.raters import ContributionRater, PlainRater
from rfmrisk.serving.reasons import Reason


@dataclass
class Scores:
    """The answers for n customers: arrays, and a list of reasons each."""

    probability: np.ndarray
    score: np.ndarray
    high_risk: np.ndarray
    reasons: list[list[Reason]]


class Scorer:
    """Score customers as `ScoringModel` does, from flat arrays.

    Parameters
    ----------
    model : ScoringModel

    Attributes
    ----------
    reasons_from : str or None
        "points" of a scorecard, "contributions" of a model that has such, None where it has none.
    note : str
        What the points of the reasons are, or why there are none.
    threshold : float
        High-risk from this probability on.
    used : set of str
        The features that are needed.
    recipe : FeatureRecipe
    """

    def __init__(self, model: ScoringModel) -> None:
        step, rest = model.pipeline[0], model.pipeline[1:]
        names = list(map(str, step.get_feature_names_out()))
        if len(rest) == 1 and isinstance(rest[-1], Scorecard):
            self._rater: CardRater | PlainRater = CardRater(rest[-1], names)
        elif ContributionRater.takes(rest):
            self._rater = ContributionRater(rest, names, model.facts)
        else:
            self._rater = PlainRater(rest, names, model.facts)
        self.reasons_from = self._rater.reasons_from
        self.note = self._rater.note
        self.threshold = float(model.facts["threshold"])
        self.used = self._rater.used
        self.recipe = FeatureRecipe(step, names, self.used)

    def score(self, flat: FlatHistories) -> Scores:
        """Score histories."""
        return self.score_features(self.recipe.compute(flat))

    def score_features(self, columns: Columns) -> Scores:
        """Score features by name."""
        probability, score, reasons = self._rater.rate(columns)
        return Scores(probability, score, probability >= self.threshold, reasons)
