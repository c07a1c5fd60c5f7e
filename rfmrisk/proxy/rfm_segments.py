"""The traditional reading of RFM: scores from 1 to 5 and named segments."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from rfmrisk.histories.segments import Ints
from rfmrisk.proxy.ranking import check_directions, choose_columns, with_history

# By the recency score (rows, 1 to 5) and that of the other columns (1 to 5).
_NAMES = [
    ["hibernating", "hibernating", "at risk", "at risk", "can't lose"],
    ["hibernating", "hibernating", "at risk", "at risk", "can't lose"],
    ["about to sleep", "about to sleep", "need attention", "loyal customers", "loyal customers"],
    ["promising", "potential loyalists", "potential loyalists"] + ["loyal customers"] * 2,
    ["new customers", "potential loyalists", "potential loyalists"] + ["champions"] * 2,
]
NO_HISTORY = "no history"
SEGMENTS = [
    "champions",
    "loyal customers",
    "potential loyalists",
    "new customers",
    "promising",
    "need attention",
    "about to sleep",
    "at risk",
    "can't lose",
    "hibernating",
    NO_HISTORY,
]
_CODES = np.array([[SEGMENTS.index(name) for name in row] for row in _NAMES])


class RFMSegments(TransformerMixin, BaseEstimator):
    """Score recency, frequency and monetary by quintile, and name the segments.

    The cut points are those of the sample of `fit`: a later sample is scored by the same ones,
    so that scores of different months can be compared.

    Parameters
    ----------
    directions : dict of str to {1, -1} or None, default=None
        As in `ProxyLabeler`; the first column is read as the recency.

    Attributes
    ----------
    cut_points_ : dict of str to ndarray of shape (4,)
        The quintiles of each column.
    columns_ : list of str
        The columns that are used.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Notes
    -----
    A score of 5 is best: recent, frequent, high [1]_. A value equal to a cut point is below it,
    so that equal customers have equal scores and with many ties some scores do not occur. A
    customer without any history (recency NaN) has the scores 0 and the segment "no history". The
    segments are the usual ten of marketing tools, by the recency score and the mean of the other
    scores, rounded.

    References
    ----------
    .. [1] A. M. Hughes, "Strategic Database Marketing", McGraw-Hill, 1994.

    Examples
    --------
    >>> from rfmrisk import RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import RFMSegments
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> rfm = RFMAggregator().fit_transform(histories)
    >>> segments = RFMSegments().fit(rfm)
    >>> list(segments.transform(rfm).columns)
    ['recency_score', 'frequency_score', 'monetary_score']
    >>> segments.segment(rfm)[:2]
    array([...], dtype=object)
    """

    def __init__(self, directions: Mapping[str, int] | None = None) -> None:
        self.directions = directions

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the cut points.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)
            Recency, frequency and monetary value, or any table with ``directions``.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A column is wrong, values are missing or infinite, or no customer has a history.
        """
        check_directions(self.directions)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        names = [str(name) for name in getattr(self, "feature_names_in_", [])]
        chosen = choose_columns(names, self.n_features_in_, self.directions)
        self.columns_, self._places, self._signs, self._recency = chosen
        values = values[:, self._places]
        known = with_history(values, self.columns_, self._recency)
        if not known.any():
            raise ValueError(f"none of the {len(values):,} customers has a history")
        cuts = np.quantile(values[known], [0.2, 0.4, 0.6, 0.8], axis=0)
        self.cut_points_ = dict(zip(self.columns_, cuts.T.copy(), strict=True))
        return self

    def transform(self, X: Any) -> Any:
        """Return the score of each column, from 1 (worst) to 5 (best).

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)

        Returns
        -------
        DataFrame or ndarray of int of shape (n_customers, n_columns)
            Of the kind of ``X``; 0 without any history.
        """
        scores = self._scores(X)
        if isinstance(X, pd.DataFrame):
            return pd.DataFrame(scores, index=X.index, columns=self.get_feature_names_out())
        return scores

    def segment(self, X: Any) -> NDArray[np.object_]:
        """Return the name of each customer's segment.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)

        Returns
        -------
        ndarray of str of shape (n_customers,)
        """
        scores = self._scores(X)
        recency = self._recency if self._recency >= 0 else 0
        others = np.delete(scores, recency, axis=1) if scores.shape[1] > 1 else scores
        value = (2 * others.sum(axis=1) + others.shape[1]) // (2 * others.shape[1])
        codes = _CODES[np.maximum(scores[:, recency], 1) - 1, np.maximum(value, 1) - 1]
        codes = np.where(scores[:, recency] == 0, SEGMENTS.index(NO_HISTORY), codes)
        return np.array(SEGMENTS, dtype=object)[codes]

    def segment_profile(self, X: Any) -> pd.DataFrame:
        """Return size, share and medians of each segment that occurs, in original units.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)

        Returns
        -------
        DataFrame of shape (n_segments, 2 + n_columns)
            The most engaged first.
        """
        names = self.segment(X)
        values = np.asarray(X, dtype=np.float64)[:, self._places]
        groups = pd.DataFrame(values, columns=self.columns_).groupby(names)
        sizes = groups.size()
        profile = pd.DataFrame({"size": sizes, "share": sizes / len(names)})
        profile = profile.join(groups.median().add_suffix("_median"))
        return profile.loc[[name for name in SEGMENTS if name in sizes]].rename_axis("segment")

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the scores.

        Parameters
        ----------
        input_features : array-like of str or None

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)[self._places]
        return np.array([f"{name}_score" for name in names], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # scores are integers
        return tags

    def _scores(self, X: Any) -> Ints:
        check_is_fitted(self)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )[:, self._places]
        known = with_history(values, self.columns_, self._recency)
        scores = np.zeros(values.shape, dtype=np.int64)
        for place, (name, sign) in enumerate(zip(self.columns_, self._signs, strict=True)):
            below = np.searchsorted(self.cut_points_[name], values[known, place], side="left")
            scores[known, place] = 5 - below if sign == 1 else 1 + below
        return scores
