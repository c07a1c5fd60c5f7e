"""From features to answers: probability, score, and the reasons with their points."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rfmrisk.histories.flat import FlatHistories
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.serving.features import Columns, FeatureRecipe, rows_of
from rfmrisk.serving.raters import rater_of
from rfmrisk.serving.reasons import Reason

# NumPy holds the interpreter's lock, and with it all other requests, for as long as one operation
# takes: milliseconds with so many transactions.
_PART = 50_000


@dataclass
class Scores:
    """The answers for n customers: arrays, and a list of reasons each."""

    probability: np.ndarray
    score: np.ndarray
    high_risk: np.ndarray
    reasons: list[list[Reason]]

    @classmethod
    def joined(cls, parts: list["Scores"]) -> "Scores":
        """Put the answers for some customers after those for others."""
        return cls(
            np.concatenate([part.probability for part in parts]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.high_risk for part in parts]),
            [reasons for part in parts for reasons in part.reasons],
        )

    def rows(self, rows: slice) -> "Scores":
        """Return the answers for some of the customers."""
        return Scores(
            self.probability[rows], self.score[rows], self.high_risk[rows], self.reasons[rows]
        )


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
        step = model.pipeline[0]
        names = list(map(str, step.get_feature_names_out()))
        self._rater = rater_of(model.pipeline[1:], names, model.metadata)
        self.reasons_from, self.note = model.reasons_from, model.reasons_note
        self.threshold = float(model.metadata.threshold)
        self.used = self._rater.used
        self.recipe = FeatureRecipe(step, names, self.used)

    def score(self, flat: FlatHistories) -> Scores:
        """Score histories, some customers after others: each operation then is a short one."""
        parts = [self.score_features(self.recipe.compute(part)) for part in _parts(flat)]
        return parts[0] if len(parts) == 1 else Scores.joined(parts)

    def score_together(self, flat: FlatHistories, requests: list[slice]) -> list[Scores]:
        """Score the customers of several requests, each to the last bit as `score` does.

        A customer's features depend on the customer's own transactions alone. What a model makes
        of them may differ in the last bit with the number of rows, as a product of matrices does:
        unless it says that it does not, it rates request by request.
        """
        columns = self.recipe.compute(flat)
        if self._rater.independent:
            scores = self.score_features(columns)
            return [scores.rows(own) for own in requests]
        return [self.score_features(rows_of(columns, own)) for own in requests]

    def score_features(self, columns: Columns) -> Scores:
        """Score features by name."""
        probability, score, reasons = self._rater.rate(columns)
        return Scores(probability, score, probability >= self.threshold, reasons)


def _parts(flat: FlatHistories) -> Iterator[FlatHistories]:
    """Cut histories between customers, about every `_PART` transactions."""
    n_parts = -(-len(flat.times) // _PART)
    cuts = np.searchsorted(flat.ends, np.arange(1, n_parts) * _PART).tolist()
    for first, end in pairwise([0, *cuts, len(flat.ends)]):
        if first < end:
            yield flat.rows(slice(first, end))
