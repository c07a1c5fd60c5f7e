"""The common part of the aggregators: histories in, one row of features per customer out.

It holds what every aggregator shares and nothing else. An aggregator says in ``_learn`` what it
takes from the training histories and in ``_features`` what it computes from flat arrays; features
that are not wanted may be left out where this saves work.
"""

from collections.abc import Collection
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from rfmrisk.histories.flat import FlatHistories, flatten


class HistoryAggregator(TransformerMixin, BaseEstimator):
    """Base of the aggregators; see `RFMAggregator` for the shape of one."""

    def fit(self, histories: pd.DataFrame, y: Any = None) -> Self:
        """Check the parameters against the histories.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        flat = flatten(histories)
        self._learn(flat)
        self.n_features_in_ = len(flat.columns)
        self.feature_names_in_ = np.array(flat.columns, dtype=object)
        self.feature_names_out_ = list(self._features(flat.rows(slice(1))))
        return self

    def fit_transform(self, histories: pd.DataFrame, y: Any = None) -> pd.DataFrame:
        """Fit to the histories and compute their features.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        y : None
            Ignored.

        Returns
        -------
        DataFrame of shape (n_customers, n_features_out)
            With the index of the histories.
        """
        flat: Any = flatten(histories)
        return self.fit(flat).transform(flat)

    def transform(self, histories: pd.DataFrame) -> pd.DataFrame:
        """Compute the features of each customer.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.

        Returns
        -------
        DataFrame of shape (n_customers, n_features_out)
            With the index of the histories.
        """
        check_is_fitted(self)
        flat = flatten(histories)
        parts = [self._features(block) for block in flat.blocks()]
        features = {name: _concatenated([part[name] for part in parts]) for name in parts[0]}
        return pd.DataFrame(features, index=flat.index)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features.

        Parameters
        ----------
        input_features : None
            Ignored: the names follow from the parameters.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.array(self.feature_names_out_, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _learn(self, flat: FlatHistories) -> None:
        raise NotImplementedError

    def _features(
        self, flat: FlatHistories, wanted: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Compute the features, or at least those that are wanted, by name and in order."""
        raise NotImplementedError


def _concatenated(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return pd.concat([pd.Series(part) for part in parts]).array


def check_list(entries: Any, name: str) -> None:
    """Raise where a parameter is not a list: a text would be taken letter by letter."""
    if isinstance(entries, str) or not isinstance(entries, Collection):
        raise ValueError(f"{name} must be a list; got {entries!r}")
