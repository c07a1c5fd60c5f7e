"""From features to answers: probability, score, and the reasons with their points."""

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
from scipy.special import expit
from sklearn.pipeline import Pipeline

from rfmrisk._nested import FlatHistories
from rfmrisk.persistence import ModelFileError
from rfmrisk.scorecard import Scorecard
from rfmrisk.scoring import ScoringModel, bounded_score
from rfmrisk.serving.features import Columns, FeatureRecipe, Levels, as_frame
from rfmrisk.woe.bins import bin_labels, codes_of_levels, missing_bin

N_REASONS = 3


class Reason(msgspec.Struct, gc=False):
    """One feature that lowers a customer's score, in words, and the points that it costs."""

    feature: str
    reason: str
    points: float


@dataclass
class Scores:
    """The answers for n customers: arrays, and a list of reasons each."""

    probability: np.ndarray
    score: np.ndarray
    high_risk: np.ndarray
    reasons: list[list[Reason]]


class _Rater(Protocol):
    """What turns features into probabilities, scores and reasons."""

    reasons_from: str | None
    used: set[str]

    def rate(self, columns: Columns) -> tuple[np.ndarray, np.ndarray, list[list[Reason]]]: ...


class Scorer:
    """Score customers as `ScoringModel` does, from flat arrays.

    Parameters
    ----------
    model : ScoringModel

    Attributes
    ----------
    reasons_from : str or None
        "points" of a scorecard, "contributions" of XGBoost, None where a model has none.
    """

    def __init__(self, model: ScoringModel) -> None:
        step, rest = model.pipeline[0], model.pipeline[1:]
        names = list(map(str, step.get_feature_names_out()))
        last = rest[-1]
        if len(rest) == 1 and isinstance(last, Scorecard):
            self._rater: _Rater = _CardRater(last, names)
        elif _has_contributions(rest):
            self._rater = _BoosterRater(rest, names, model.facts)
        else:
            self._rater = _PlainRater(rest, names, model.facts)
        self.reasons_from = self._rater.reasons_from
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


class _CardRater:
    """A scorecard as tables that are looked up: a bin's log-odds, points and reason."""

    reasons_from: str | None = "points"

    def __init__(self, card: Scorecard, names: list[str]) -> None:
        self.places = card.used_.tolist()
        self.names = [names[j] for j in self.places]
        self.used = set(self.names)
        self.bins = [card.encoder_.bins_[j] for j in self.places]
        if any(column["special"] for column in self.bins):
            raise ModelFileError("the app serves scorecards without special values")
        self.intercept, self.base_points = card.intercept_, card.base_points_
        points = [card.points_[j] for j in self.places]
        self.log_odds = _padded(
            [
                card.coef_[j] * column["woe"]
                for j, column in zip(self.places, self.bins, strict=True)
            ]
        )
        self.points = _padded(points)
        lost = []
        for column, own in zip(self.bins, points, strict=True):
            trained = np.append(column["goods"] + column["bads"] > 0, False)
            lost.append(np.maximum(own[trained].max() - own, 0))
        self.lost = _padded(lost)
        self.rows = np.arange(len(self.places))[:, None]
        numeric = [k for k, column in enumerate(self.bins) if column["kind"] == "numeric"]
        self.numeric = np.array(numeric, dtype=np.intp)
        self.cuts = _padded([self.bins[k]["cuts"] for k in numeric], np.inf)
        self.missing = np.array([[missing_bin(self.bins[k])] for k in numeric])
        self._told: dict[tuple[int, int], Reason] = {}

    def rate(self, columns: Columns) -> tuple[np.ndarray, np.ndarray, list[list[Reason]]]:
        codes = self._codes(columns)
        terms = np.empty((len(codes) + 1, codes.shape[1]))
        terms[0] = self.intercept
        terms[1:] = self.log_odds[self.rows, codes]
        # A running sum adds one feature after another, as the scorecard does, to the last bit.
        log_odds = np.cumsum(terms, axis=0)[-1]
        score = self.base_points + self.points[self.rows, codes].sum(axis=0)
        return expit(log_odds), score, self._reasons(columns, codes)

    def _codes(self, columns: Columns) -> np.ndarray:
        """Return the bin of each feature (rows) of each customer (columns)."""
        n = len(next(iter(columns.values())))
        codes = np.zeros((len(self.names), n), dtype=np.intp)
        if len(self.numeric):
            values = np.empty((len(self.numeric), n))
            for row, place in enumerate(self.numeric):
                values[row] = np.asarray(columns[self.names[place]])
            own = np.zeros(values.shape, dtype=np.intp)
            for cut in self.cuts.T:  # the first cut of every feature, then the second, ...
                own += values >= cut[:, None]
            codes[self.numeric] = np.where(np.isnan(values), self.missing, own)
        for place, column in enumerate(self.bins):
            levels = columns[self.names[place]]
            if isinstance(levels, Levels):
                codes[place] = codes_of_levels(levels.codes, levels.names, column)
        return codes

    def _reasons(self, columns: Columns, codes: np.ndarray) -> list[list[Reason]]:
        lost = self.lost[self.rows, codes].T
        order = np.argsort(-lost, axis=1, kind="stable")[:, :N_REASONS]
        costs = np.take_along_axis(lost, order, axis=1) > 0
        bins = np.take_along_axis(codes.T, order, axis=1)
        return [
            [
                self._reason(columns, customer, place, code)
                for place, code, cost in zip(*row, strict=True)
                if cost
            ]
            for customer, row in enumerate(
                zip(order.tolist(), bins.tolist(), costs.tolist(), strict=True)
            )
        ]

    def _reason(self, columns: Columns, customer: int, place: int, code: int) -> Reason:
        values = columns[self.names[place]]
        if isinstance(values, Levels) and (level := values.codes[customer]) >= 0:
            # A level says more than its group.
            return self._tell(place, code, f"is {values.names[level]}")
        known = self._told.get((place, code))
        if known is None:
            if code == missing_bin(self.bins[place]):
                what = "missing"
            else:
                what = f"in {bin_labels(self.bins[place])[code]}"
            known = self._told[place, code] = self._tell(place, code, what)
        return known

    def _tell(self, place: int, code: int, what: str) -> Reason:
        name, points = self.names[place], self.lost[place, code].item()
        return Reason(name, f"{name} {what}: {points:.6g} points below the best", points)


class _PlainRater:
    """Any classifier over the feature table."""

    reasons_from: str | None = None

    def __init__(self, rest: Pipeline, names: list[str], facts: dict[str, Any]) -> None:
        self.rest = rest
        self.names = names
        self.used = set(names)
        self.scale = {name: facts[name] for name in ("base_score", "base_odds", "pdo")}

    def rate(self, columns: Columns) -> tuple[np.ndarray, np.ndarray, list[list[Reason]]]:
        probability = self.rest.predict_proba(as_frame(columns, self.names))[:, 1]
        return probability, self._score(probability), [[] for _ in probability]

    def _score(self, probability: np.ndarray) -> np.ndarray:
        return np.rint(bounded_score(probability, **self.scale)).astype(np.int64)


class _BoosterRater(_PlainRater):
    """XGBoost behind one encoding step, with its own contributions (SHAP values) as reasons."""

    reasons_from: str | None = "contributions"

    def __init__(self, rest: Pipeline, names: list[str], facts: dict[str, Any]) -> None:
        super().__init__(rest, names, facts)
        encoded = [str(name).split("__", 1)[1] for name in rest[0].get_feature_names_out()]
        # Contributions add up: those of the levels of a feature are the feature's.
        self.sums = np.zeros((len(encoded), len(names)))
        for row, name in enumerate(encoded):
            self.sums[row, _source_of(name, names)] = 1.0

    def rate(self, columns: Columns) -> tuple[np.ndarray, np.ndarray, list[list[Reason]]]:
        import xgboost

        frame = as_frame(columns, self.names)
        encoded = self.rest[:-1].transform(frame)
        probability = self.rest[-1].predict_proba(encoded)[:, 1]
        booster = self.rest[-1].get_booster()
        # In log-odds of being bad, against the average of the training customers.
        shares = booster.predict(xgboost.DMatrix(encoded), pred_contribs=True)[:, :-1]
        lost = shares @ self.sums * (self.scale["pdo"] / np.log(2))
        order = np.argsort(-lost, axis=1, kind="stable")[:, :N_REASONS]
        reasons = [
            [
                self._reason(columns, customer, place, points)
                for place in order[customer].tolist()
                if (points := float(lost[customer, place])) >= 0.5
            ]
            for customer in range(len(lost))
        ]
        return probability, self._score(probability), reasons

    def _reason(self, columns: Columns, customer: int, place: int, points: float) -> Reason:
        name = self.names[place]
        values = columns[name]
        if isinstance(values, Levels):
            code = values.codes[customer]
            value = values.names[code] if code >= 0 else "missing"
        else:
            number = values[customer]
            value = "missing" if np.isnan(number) else f"{number:.4g}"
        told = f"{name} = {value}: {points:.0f} points below the average"
        return Reason(name, told, round(points, 2))


def _source_of(encoded: str, names: list[str]) -> int:
    """Return the place of the feature of an encoded column: `channel` of `channel_web`."""
    sources = [name for name in names if encoded == name or encoded.startswith(f"{name}_")]
    return names.index(max(sources, key=len))


def _has_contributions(rest: Pipeline) -> bool:
    return len(rest) == 2 and type(rest[-1]).__name__ == "XGBClassifier"


def _padded(rows: list[np.ndarray], with_: float = 0) -> np.ndarray:
    width = max(map(len, rows), default=0)
    table = np.full((len(rows), width), with_, dtype=np.result_type(*rows, np.int8))
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table
