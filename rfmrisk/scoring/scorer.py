"""The one scorer: from histories to probability, score, decision and reasons."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from rfmrisk.histories.flat import FlatHistories
from rfmrisk.proxy.updating import OutcomeUpdatedClassifier
from rfmrisk.scorecard.grades import Grades
from rfmrisk.scoring.features import (
    Columns,
    FeatureRecipe,
    aggregators_of,
    joined,
    value_of,
)
from rfmrisk.scoring.probability import bounded_score
from rfmrisk.scoring.raters import Rating, pipelines_of, rater_of_model
from rfmrisk.scoring.reasons import NO_HISTORY, PhraseBook, Reason

# NumPy holds the interpreter's lock, and with it all other requests, for as long as one operation
# takes: milliseconds with so many transactions.
_PART = 50_000


@dataclass
class Scores:
    """The answers for n customers: arrays, and a list of reasons each; grades if there are any."""

    probability: np.ndarray
    score: np.ndarray
    high_risk: np.ndarray
    reasons: list[list[Reason]]
    grade: np.ndarray | None = None

    @classmethod
    def joined(cls, parts: list["Scores"]) -> "Scores":
        """Put the answers for some customers after those for others."""
        grades = [part.grade for part in parts if part.grade is not None]
        return cls(
            np.concatenate([part.probability for part in parts]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.high_risk for part in parts]),
            list(chain.from_iterable(part.reasons for part in parts)),
            np.concatenate(grades) if grades else None,
        )


class Scorer:
    """Score customers by a fitted pipeline.

    Parameters
    ----------
    model : Pipeline or OutcomeUpdatedClassifier
        Features of histories, any transformers, a classifier; or two such, of which the one is a
        proxy.
    typical : dict
        A usual value of each feature.
    scale : dict
        The ``base_score``, ``base_odds`` and ``pdo`` of the score.
    threshold : float
        High-risk from this probability on.
    from_proxy : bool, default=False
        Whether no outcome was known in training. A customer without any history, of whom such a
        model has seen none, is then riskiest: probability 1 and the lowest score there is.
    grades : Grades or None, default=None
        Fitted; what puts the score into a grade.

    Attributes
    ----------
    recipe : FeatureRecipe
    used : set of str
        The features that are needed.
    known_columns : list of str
        All columns that the decisions of the training had beside ``as_of``.
    reference : {"best", "average", "typical", ""}
        Against what reasons' points are lost, as in `Reason`; empty where there are no reasons.

    Raises
    ------
    ModelFileError
        The features are not those of an aggregator, or of a union of aggregators.
    """

    def __init__(
        self,
        model: Pipeline | OutcomeUpdatedClassifier,
        typical: dict[str, Any],
        scale: dict[str, float],
        threshold: float,
        *,
        from_proxy: bool = False,
        grades: Grades | None = None,
    ) -> None:
        self.grades = grades
        self._rater = rater_of_model(model, typical, scale)
        self._typical = typical
        self.reference, self.used = self._rater.reference, self._rater.used
        self.threshold = float(threshold)
        self._from_proxy = from_proxy
        self._lowest = np.rint(bounded_score(np.ones(1), **scale)).astype(np.int64)
        self.recipe = FeatureRecipe([each[0] for each in pipelines_of(model)], self.used)
        given = map(str, getattr(model, "feature_names_in_", ()))
        self.known_columns = [name for name in given if name not in ("as_of", "history")]

    def score(self, flat: FlatHistories, n_reasons: int, book: PhraseBook) -> Scores:
        """Score histories, some customers after others: each operation then is a short one.

        Parameters
        ----------
        flat : FlatHistories
        n_reasons : int
            How many reasons to give at most.
        book : PhraseBook
            Says which features are of one concept.

        Returns
        -------
        Scores
        """
        parts = [(self.recipe.compute(part), _empty(part)) for part in _parts(flat)]
        if not self._rater.independent and len(parts) > 1:
            columns, empty = zip(*parts, strict=True)
            parts = [(joined(list(columns)), np.concatenate(empty))]
        scores = [self._scores(*part, n_reasons, book) for part in parts]
        return scores[0] if len(scores) == 1 else Scores.joined(scores)

    def score_features(self, columns: Columns, n_reasons: int, book: PhraseBook) -> Scores:
        """Score features by name."""
        n = len(next(iter(columns.values()))) if columns else 0
        return self._scores(columns, np.zeros(n, dtype=bool), n_reasons, book)

    def _scores(
        self, columns: Columns, empty: np.ndarray, n_reasons: int, book: PhraseBook
    ) -> Scores:
        rating = self._rater.rate(columns, empty)
        if self._from_proxy and empty.any():
            rating.probability = np.where(empty, 1.0, rating.probability)
            rating.score = np.where(empty, self._lowest, rating.score)
        reasons: list[list[Reason]] = [[] for _ in rating.probability]
        if n_reasons and self.reference and self._rater.features:
            reasons = self._reasons(rating, empty, n_reasons, book)
        high_risk = rating.probability >= self.threshold
        grade = None if self.grades is None else self.grades.predict(rating.score)
        return Scores(rating.probability, rating.score, high_risk, reasons, grade)

    def _reasons(
        self, rating: Rating, empty: np.ndarray, n_reasons: int, book: PhraseBook
    ) -> list[list[Reason]]:
        """Find what costs each customer most, each concept once."""
        found, features = rating.losses(), self._rater.features
        lost = np.array(found.lost, dtype=np.float64)
        of_history = np.array([name not in self.recipe.decision for name in features])
        # To a customer without a history all its features are one: that there is none.
        nothing = np.flatnonzero(empty)
        whole = lost[np.ix_(nothing, of_history)].clip(0).sum(axis=1)
        lost[np.ix_(nothing, of_history)] = 0
        which, most = _by_concept(lost, [book.concept(name) for name in features])
        order = np.argsort(-most, axis=1, kind="stable")[:, :n_reasons]
        costs = np.take_along_axis(most, order, axis=1)
        positions = np.take_along_axis(which, order, axis=1)
        counted = costs >= self._rater.least

        reasons: list[list[Reason]] = []
        for customer, (own, points, counts) in enumerate(
            zip(positions.tolist(), costs.tolist(), counted.sum(axis=1).tolist(), strict=True)
        ):
            reasons.append(
                [
                    Reason(
                        name := features[position],
                        book.code(name),
                        value_of(found.values[name], customer),
                        found.bin_of(customer, position),
                        round(cost, 2),
                        self.reference,
                        self._typical.get(name),
                    )
                    for position, cost in zip(own[:counts], points[:counts], strict=True)
                ]
            )
        if not of_history.any():
            return reasons
        for customer, cost in zip(nothing.tolist(), whole.tolist(), strict=True):
            first = Reason(
                NO_HISTORY, book.code(NO_HISTORY), None, None, round(cost, 2), self.reference
            )
            reasons[customer] = [first, *reasons[customer][: n_reasons - 1]]
        return reasons


def check_servable(model: Any) -> None:
    """Refuse a model whose customers could not be scored, before it is trained.

    Parameters
    ----------
    model : Pipeline or OutcomeUpdatedClassifier
        Features of histories, any transformers, a classifier, fitted or not; or two such, fitted,
        of which the one is a proxy.

    Raises
    ------
    ValueError
        Says which step is at fault and what is allowed.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from rfmrisk.scoring import check_servable
    >>> check_servable(make_pipeline(StandardScaler(), LogisticRegression()))
    Traceback (most recent call last):
    ...
    rfmrisk.persistence.ModelFileError: a model that is to be scored must begin with an
    aggregator or a union of aggregators without weights, as customer_features() makes; got
    StandardScaler
    """
    for pipeline in pipelines_of(model):
        if not isinstance(pipeline, Pipeline) or len(pipeline) < 2:
            raise ValueError(
                "a model that is to be scored must be a Pipeline of features and a classifier; got "
                f"{type(pipeline).__name__}"
            )
        aggregators_of(pipeline[0])
        if not hasattr(pipeline[-1], "predict_proba"):
            raise ValueError(
                "a model that is to be scored must end in a classifier with predict_proba; got "
                f"{type(pipeline[-1]).__name__}"
            )


def _by_concept(lost: np.ndarray, concepts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each customer and concept, the feature that costs most, and its points."""
    groups: dict[str, list[int]] = {}
    for position, concept in enumerate(concepts):
        groups.setdefault(concept, []).append(position)
    which = np.empty((len(lost), len(groups)), dtype=np.intp)
    for number, group in enumerate(groups.values()):
        own = np.array(group)
        which[:, number] = own[lost[:, own].argmax(axis=1)] if len(own) > 1 else own[0]
    return which, np.take_along_axis(lost, which, axis=1)


def _empty(flat: FlatHistories) -> np.ndarray:
    return flat.ends == flat.starts


def _parts(flat: FlatHistories) -> Iterator[FlatHistories]:
    """Cut histories between customers, about every `_PART` transactions."""
    n_parts = max(-(-len(flat.times) // _PART), 1)
    cuts = np.searchsorted(flat.ends, np.arange(1, n_parts) * _PART).tolist()
    for first, end in pairwise([0, *cuts, len(flat.ends)]):
        if first < end:
            yield flat.rows(slice(first, end))
