"""Classifiers behind the features: probability, score, and the points that each feature costs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.scoring.contributions import Contributions, source_of, uncalibrated
from rfmrisk.scoring.features import Columns
from rfmrisk.scoring.points import PointsTable
from rfmrisk.scoring.probability import bad_probability, bounded_score
from rfmrisk.scoring.transformers import Transformers


@dataclass
class Losses:
    """What each of k features costs each of n customers.

    Attributes
    ----------
    lost : ndarray of shape (n, k)
        Points.
    values : Columns
        The values of the features, by their names.
    bin_of : callable
        From a customer and a feature's position to the label of its bin, or None.
    """

    lost: np.ndarray
    values: Columns
    bin_of: Callable[[int, int], str | None]


@dataclass
class Rating:
    """The probability and the score of each customer, and how to find what costs points."""

    probability: np.ndarray
    score: np.ndarray
    losses: Callable[[], Losses]


class PlainRater:
    """Any classifier behind any transformers; it has no reasons.

    Parameters
    ----------
    steps : Pipeline
        The fitted steps after the features.
    names : list of str
        The features.
    typical : dict
        A usual value of each.
    scale : dict
        The ``base_score``, ``base_odds`` and ``pdo`` of the score.

    Attributes
    ----------
    features : list of str
        Those that may cost points.
    used : set of str
        The features that it needs.
    independent : bool
        Whether no customer's rating depends on who is rated with it, to the last bit.
    reference : str
        Against what points are lost; see `Reason`.
    least : float
        The fewest points that are worth a reason.
    """

    independent = False
    reference = ""
    least = 0.5  # less is nothing that a customer could be told

    def __init__(
        self, steps: Pipeline, names: list[str], typical: dict[str, Any], scale: dict[str, float]
    ) -> None:
        self.names = names
        self.features: list[str] = []
        self.used = set(names)
        self.classifier = steps[-1]
        self.transformed = Transformers(steps, names, typical)
        self.scale = scale

    def rate(self, columns: Columns) -> Rating:
        """Rate customers by their features."""
        given = self.transformed(columns)
        probability = bad_probability(self.classifier, given)
        score = np.rint(bounded_score(probability, **self.scale)).astype(np.int64)
        return Rating(probability, score, lambda: self._losses(columns, given))

    def _losses(self, columns: Columns, given: Any) -> Losses:
        return Losses(np.zeros((given.shape[0], 0)), columns, lambda *_: None)


class ContributionRater(PlainRater):
    """A classifier whose log-odds of being bad are a sum over its features."""

    def __init__(
        self, steps: Pipeline, names: list[str], typical: dict[str, Any], scale: dict[str, float]
    ) -> None:
        super().__init__(steps, names, typical, scale)
        self.features = names
        self.contributions = Contributions(steps, names, typical=typical, pdo=scale["pdo"])
        self.reference = self.contributions.reference

    def _losses(self, columns: Columns, given: Any) -> Losses:
        return Losses(self.contributions.lost(given), columns, lambda *_: None)


class CardRater(PlainRater):
    """A scorecard, by itself or behind transformers."""

    reference = "best"
    least = np.finfo(float).tiny

    def __init__(
        self, steps: Pipeline, names: list[str], typical: dict[str, Any], scale: dict[str, float]
    ) -> None:
        super().__init__(steps, names, typical, scale)
        self.table = PointsTable(self.classifier)
        # A scorecard that refuses unseen categories looks them up itself.
        self.independent = len(steps) == 1 and self.classifier.encoder_.unseen != "error"
        self.features = self.table.names
        if self.independent:
            # Features that came as an array have other names in the scorecard.
            own = dict(zip(self.classifier.encoder_.column_names(), names, strict=True))
            self.features = [own[name] for name in self.table.names]
            self.used = set(self.features)
        else:
            sources = [source_of(name, names) for name in self.table.names]
            self.features = [
                name if position is None else names[position]
                for name, position in zip(self.table.names, sources, strict=True)
            ]

    def rate(self, columns: Columns) -> Rating:
        """Rate customers by their features."""
        if self.independent:
            own = {
                name: columns[feature]
                for name, feature in zip(self.table.names, self.features, strict=True)
            }
            codes = self.table.codes(own)
        else:
            given = self.transformed(columns)
            own, codes = self.table.read(given), self.table.codes_of_table(given)
        values = {
            feature: columns.get(feature, own[name])
            for name, feature in zip(self.table.names, self.features, strict=True)
        }
        labels = self.table.labels
        return Rating(
            self.table.probability(codes),
            self.table.score(codes),
            lambda: Losses(
                self.table.points_lost(codes),
                values,
                lambda customer, position: labels[position][codes[position, customer]],
            ),
        )


class CalibratedRater(PlainRater):
    """A calibrated classifier, with the reasons of the model inside the calibration."""

    def __init__(
        self, steps: Pipeline, names: list[str], typical: dict[str, Any], scale: dict[str, float]
    ) -> None:
        super().__init__(steps, names, typical, scale)
        self.inside = rater_of(uncalibrated(steps), names, typical, scale)
        self.features, self.reference = self.inside.features, self.inside.reference
        self.least = self.inside.least

    def _losses(self, columns: Columns, given: Any) -> Losses:
        return self.inside.rate(columns).losses()


def rater_of(
    steps: Pipeline, names: list[str], typical: dict[str, Any], scale: dict[str, float]
) -> PlainRater:
    """Return what rates customers as the steps after the features do."""
    if isinstance(steps[-1], Scorecard):
        kind: type[PlainRater] = CardRater
    elif uncalibrated(steps) is not steps:
        kind = CalibratedRater
    else:
        kind = ContributionRater if Contributions.known(steps, names) else PlainRater
    return kind(steps, names, typical, scale)
