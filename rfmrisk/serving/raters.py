"""Classifiers behind an encoding of the feature table, with the reasons that they have."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from rfmrisk.scoring import bad_probability, bounded_score
from rfmrisk.serving.encoding import Encoding, of_values
from rfmrisk.serving.features import Columns
from rfmrisk.serving.reasons import Reason, tell_most

Rating = tuple[np.ndarray, np.ndarray, list[list[Reason]]]


class PlainRater:
    """Any classifier over the feature table; it has no reasons.

    Parameters
    ----------
    rest : Pipeline
        The fitted steps after the features.
    names : list of str
        The features.
    facts : dict
        Those of the model.

    Attributes
    ----------
    reasons_from : str or None
    note : str
        What the points of a reason are, or why there are none.
    used : set of str
        The features that it needs.
    """

    reasons_from: str | None = None

    def __init__(self, rest: Pipeline, names: list[str], facts: dict[str, Any]) -> None:
        self.names = names
        self.used = set(names)
        self.classifier = rest[-1]
        self.encode = Encoding(rest[:-1], names, facts["typical"])
        self.scale = {name: facts[name] for name in ("base_score", "base_odds", "pdo")}
        calibrated = ", calibrated" if facts.get("calibrate") else ""
        self.note = (
            f"This kind of model ({facts.get('title', facts['model'])}{calibrated}) has neither "
            "points nor contributions of its features, so no reasons are given."
        )

    def rate(self, columns: Columns) -> Rating:
        """Return the probability, score and reasons of each customer."""
        probability = bad_probability(self.classifier, self.encode(columns))
        return probability, self._score(probability), [[] for _ in probability]

    def _score(self, probability: np.ndarray) -> np.ndarray:
        return np.rint(bounded_score(probability, **self.scale)).astype(np.int64)


class ContributionRater(PlainRater):
    """A classifier whose log-odds of being bad are a sum over its features.

    XGBoost and LightGBM tell each customer's SHAP values, against the average of the training
    customers. A logistic regression's are its coefficients times the distance to the typical
    customer.
    """

    reasons_from: str | None = "contributions"

    def __init__(self, rest: Pipeline, names: list[str], facts: dict[str, Any]) -> None:
        super().__init__(rest, names, facts)
        self.against = "the average"
        if isinstance(self.classifier, LogisticRegression):
            self.against = "the typical"
            typical = self.encode(of_values(names, [facts["typical"]]))
            coefficients = self.classifier.coef_[0]
            self.contributions = lambda encoded: (encoded - typical) * coefficients
        else:
            self.contributions = _SHAP_VALUES[type(self.classifier).__name__](self.classifier)
        self.sources = self.encode.sources()
        self.note = f"The model's own contributions, in points below {self.against} customer."

    @classmethod
    def takes(cls, rest: Pipeline) -> bool:
        """Tell whether a model has contributions."""
        kind = type(rest[-1]).__name__
        linear = isinstance(rest[-1], LogisticRegression) and len(rest[-1].classes_) == 2
        return len(rest) == 2 and (linear or kind in _SHAP_VALUES)

    def rate(self, columns: Columns) -> Rating:
        """Return the probability, score and reasons of each customer."""
        encoded = self.encode(columns)
        probability = bad_probability(self.classifier, encoded)
        # Contributions add up: those of the levels of a feature are the feature's.
        lost = self.contributions(encoded) @ self.sources * (self.scale["pdo"] / np.log(2))
        reasons = tell_most(columns, self.names, lost, self.against)
        return probability, self._score(probability), reasons


def _of_xgboost(classifier: Any) -> Callable[[Any], np.ndarray]:
    import xgboost

    booster = classifier.get_booster()
    return lambda encoded: booster.predict(xgboost.DMatrix(encoded, nthread=1), pred_contribs=True)[
        :, :-1
    ]


def _of_lightgbm(classifier: Any) -> Callable[[Any], np.ndarray]:
    return lambda encoded: classifier.predict(encoded, pred_contrib=True)[:, :-1]


# The last column of either is the average, which is no feature's.
_SHAP_VALUES = {"XGBClassifier": _of_xgboost, "LGBMClassifier": _of_lightgbm}
