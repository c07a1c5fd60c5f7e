"""Reasons of a classifier: what each feature adds to its log-odds, in points of the score."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline


class Contributions:
    """The points that each feature costs a customer, of a model whose log-odds are a sum.

    XGBoost and LightGBM give each customer's SHAP values, against the average of the training
    customers. A logistic regression's are its coefficients times the distance to the typical
    customer.

    Parameters
    ----------
    steps : Pipeline
        Fitted: an encoding of the feature table, and a classifier that `known` knows.
    names : list of str
        The features.
    typical : dict
        A usual value of each.
    pdo : float
        Points that double the odds.

    Attributes
    ----------
    reference : {"average", "typical"}
        Against which customer the points are lost.
    """

    def __init__(
        self, steps: Pipeline, names: list[str], *, typical: dict[str, Any], pdo: float
    ) -> None:
        self._points = pdo / np.log(2)
        self._sources = _sources(steps, names)
        classifier = steps[-1]
        if isinstance(classifier, LogisticRegression):
            self.reference = "typical"
            row = {name: [np.nan if typical[name] is None else typical[name]] for name in names}
            usual = _dense(encode(steps, pd.DataFrame(row)))
            coefficients = classifier.coef_[0]
            self._of = lambda encoded: (encoded - usual) * coefficients
        else:
            self.reference = "average"
            self._of = _SHAP_VALUES[type(classifier).__name__](classifier)

    @staticmethod
    def known(steps: Pipeline, names: list[str]) -> bool:
        """Return whether a model has contributions, and each is known to be a feature's.

        Parameters
        ----------
        steps : Pipeline
            The fitted steps after the features.
        names : list of str
            The features.

        Returns
        -------
        bool
        """
        classifier = steps[-1]
        linear = isinstance(classifier, LogisticRegression) and len(classifier.classes_) == 2
        if not linear and type(classifier).__name__ not in _SHAP_VALUES:
            return False
        return _sources(steps, names) is not None

    def lost(self, encoded: Any) -> np.ndarray:
        """Return the points that each feature costs each customer.

        Parameters
        ----------
        encoded : array of shape (n, n_encoded)
            What the classifier takes.

        Returns
        -------
        ndarray of shape (n, n_features)
        """
        # Contributions add up: those of the levels of a feature are the feature's. A sparse
        # product adds them in the same order for every customer, whoever the others are.
        return (self._sources @ self._of(_dense(encoded)).T).T * self._points


def encode(steps: Pipeline, table: pd.DataFrame) -> Any:
    """Return what the last of the steps takes."""
    return steps[:-1].transform(table) if len(steps) > 1 else table


def uncalibrated(steps: Pipeline) -> Pipeline:
    """Return the model inside a calibration, which keeps the order of its scores."""
    last = steps[-1]
    if len(steps) == 1 and isinstance(last, CalibratedClassifierCV):
        inside = [each.estimator for each in last.calibrated_classifiers_]
        if len(inside) == 1 and isinstance(inside[0], Pipeline):
            return inside[0]
    return steps


def _sources(steps: Pipeline, names: list[str]) -> sparse.csr_array | None:
    """Return a table of features by encoded columns, 1 where the column is the feature's.

    None where the name of a column does not say.
    """
    encoded = names
    if len(steps) > 1:
        try:
            encoded = list(map(str, steps[:-1].get_feature_names_out(names)))
        except (AttributeError, ValueError):
            return None
    rows = [source_of(column, names) for column in encoded]
    if None in rows:
        return None
    places = (np.array(rows), np.arange(len(encoded)))
    return sparse.csr_array((np.ones(len(encoded)), places), shape=(len(names), len(encoded)))


def source_of(column: str, names: list[str]) -> int | None:
    """Return the position of the feature that an encoded column was made of, None if unknown."""
    if column in names:
        return names.index(column)
    # What a ColumnTransformer puts before, an indicator or a one-hot encoding around a name.
    bare = column.partition("__")[2].removeprefix("missingindicator_")
    own = [name for name in names if f"{bare}_".startswith(f"{name}_")]
    return names.index(max(own, key=len)) if own else None


def _dense(encoded: Any) -> np.ndarray:
    return encoded.toarray() if hasattr(encoded, "toarray") else np.asarray(encoded)


def _of_xgboost(classifier: Any) -> Callable[[np.ndarray], np.ndarray]:
    import xgboost

    booster = classifier.get_booster()
    return lambda encoded: booster.predict(xgboost.DMatrix(encoded, nthread=1), pred_contribs=True)[
        :, :-1
    ]


def _of_lightgbm(classifier: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda encoded: classifier.predict(encoded, pred_contrib=True)[:, :-1]


# The last column of either is the average, which is no feature's.
_SHAP_VALUES = {"XGBClassifier": _of_xgboost, "LGBMClassifier": _of_lightgbm}
