"""Classifiers behind the features: probability, score, and the points that each feature costs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from rfmrisk.proxy.updating import OutcomeUpdatedClassifier, log_odds
from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.scoring.contributions import Contributions, source_of, uncalibrated
from rfmrisk.scoring.features import Columns, FeatureRecipe
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
    least = 0.5  # less is no reason that a customer could be given

    def __init__(
        self, steps: Pipeline, names: list[str], typical: dict[str, Any], scale: dict[str, float]
    ) -> None:
        self.names = names
        self.features: list[str] = []
        self.used = set(names)
        self.classifier = steps[-1]
        self.transformed = Transformers(steps, names, typical)
        self.scale = scale

    def rate(self, columns: Columns, empty: NDArray[np.bool_]) -> Rating:
        """Rate customers by their features, given who has no history."""
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

    least = np.finfo(float).tiny

    def __init__(
        self, steps: Pipeline, names: list[str], typical: dict[str, Any], scale: dict[str, float]
    ) -> None:
        super().__init__(steps, names, typical, scale)
        self.table = PointsTable(self.classifier)
        self.reference = self.classifier.against
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

    def rate(self, columns: Columns, empty: NDArray[np.bool_]) -> Rating:
        """Rate customers by their features, given who has no history."""
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
        return self.inside.rate(columns, np.zeros(given.shape[0], dtype=bool)).losses()


class UpdatedRater:
    """A proxy that is updated by outcomes: the weighed log-odds, and so the points, of two models.

    Parameters
    ----------
    model : OutcomeUpdatedClassifier
        Whose two models are pipelines.
    typical : dict
        A usual value of each feature.
    scale : dict
        The ``base_score``, ``base_odds`` and ``pdo`` of the score.
    """

    def __init__(
        self, model: OutcomeUpdatedClassifier, typical: dict[str, Any], scale: dict[str, float]
    ) -> None:
        self.model, self.scale = model, scale
        self._raters = [
            rater_of(pipeline[1:], FeatureRecipe([pipeline[0]]).names, typical, scale)
            for pipeline in pipelines_of(model)
        ]
        weights = np.ones(1) if model.weights_ is None else model.weights_
        self._weights = [float(weight) for weight in weights[: len(self._raters)]]
        references = {rater.reference for rater in self._raters}
        self.reference = references.pop() if len(references) == 1 else ""
        self.features = list(dict.fromkeys(n for rater in self._raters for n in rater.features))
        self.used = set().union(*(rater.used for rater in self._raters))
        self.independent = all(rater.independent for rater in self._raters)
        self.least = max(rater.least for rater in self._raters)

    def rate(self, columns: Columns, empty: NDArray[np.bool_]) -> Rating:
        """Rate customers by their features, given who has no history."""
        ratings = [rater.rate(columns, empty) for rater in self._raters]
        margins = np.zeros((2, len(empty)))
        for margin, rating, rows in zip(margins, ratings, self.model.rated(empty), strict=False):
            margin[rows] = log_odds(rating.probability[rows])
        if self.model.weights_ is None:
            probability = np.where(empty, 1.0, ratings[0].probability)
        else:
            probability = self.model.weighed(margins, empty)
        score = np.rint(bounded_score(probability, **self.scale)).astype(np.int64)
        return Rating(probability, score, lambda: self._losses([r.losses() for r in ratings]))

    def _losses(self, found: list[Losses]) -> Losses:
        """Add what each model takes for a feature, as much as the model weighs."""
        position = {name: k for k, name in enumerate(self.features)}
        lost = np.zeros((len(found[0].lost), len(self.features)))
        values: Columns = {}
        bins: dict[int, Callable[[int], str | None]] = {}
        for rater, weight, own in zip(self._raters, self._weights, found, strict=True):
            values |= own.values
            for k, name in enumerate(rater.features):
                lost[:, position[name]] += weight * own.lost[:, k]
                # Where both know a feature, the supervised model's bin is given.
                bins[position[name]] = partial(_bin_of, own, k)
        return Losses(lost, values, lambda customer, feature: bins[feature](customer))


def _bin_of(losses: Losses, feature: int, customer: int) -> str | None:
    return losses.bin_of(customer, feature)


def pipelines_of(model: Any) -> list[Any]:
    """Return the pipelines that a model is made of: itself, or a proxy and what updates it."""
    if not isinstance(model, OutcomeUpdatedClassifier):
        return [model]
    proxy = getattr(model.proxy_, "estimator", model.proxy_)  # within a FrozenEstimator
    proxy = getattr(proxy, "classifier_", proxy)  # within a ProxyTargetClassifier
    return [proxy] if model.classifier_ is None else [proxy, model.classifier_]


def rater_of_model(
    model: Any, typical: dict[str, Any], scale: dict[str, float]
) -> "PlainRater | UpdatedRater":
    """Return what rates customers as a model does, given their features."""
    if isinstance(model, OutcomeUpdatedClassifier):
        return UpdatedRater(model, typical, scale)
    return rater_of(model[1:], FeatureRecipe([model[0]]).names, typical, scale)


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
