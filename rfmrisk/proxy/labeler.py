"""The proxy label: the least engaged cluster of customers is called high-risk."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_RFM = {"recency": 1, "frequency": -1, "monetary": -1}
_SCALINGS = ("risk", "rank", "log", "standard", "robust", None)
_NO_HISTORY = -1


class ProxyLabeler(TransformerMixin, BaseEstimator):
    """Label the least engaged customers as high-risk, by K-Means on a ranking.

    Engagement stands in for the default label that the log lacks. It is not the same thing:
    check it against real outcomes where some exist.

    Parameters
    ----------
    n_clusters : int, default=3
        Number of clusters; the riskiest is labelled.
    scaling : {"risk", "rank", "log", "standard", "robust", None}, default="risk"
        What K-Means sees: the one-dimensional risk (the average rank in the risky direction),
        the ranks, a sign-preserving logarithm, values less their mean over their standard
        deviation, values less their median over their interquartile range, or values as they
        are. Only the first two are stable on heavy-tailed amounts.
    directions : dict of str to {1, -1} or None, default=None
        Columns that are used, with 1 where a higher value is riskier and -1 where a lower one
        is. None stands for ``{"recency": 1, "frequency": -1, "monetary": -1}``; without column
        names the first column is taken as the recency and the others as engagement.
    random_state : int, RandomState instance or None, default=42
        Passed on to K-Means. The result does not depend on it, because the centres start from
        the ranking of the customers.

    Attributes
    ----------
    labels_ : ndarray of shape (n_customers,)
        Cluster of each customer of `fit`, from 0 (safest) to n_clusters - 1 (riskiest); -1 for
        customers without any history.
    cluster_centers_ : ndarray of shape (n_clusters, n_dimensions)
        Centres in the scaled space, safest first.
    flagged_share_ : float
        Share of the customers of `fit` that are labelled high-risk.
    columns_ : list of str
        The columns that are used.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Warns
    -----
    UserWarning
        The label is degenerate: it flags under 1 % or over 60 % of the customers, or a cluster
        holds under 1 % of them.

    Notes
    -----
    The rank of a value is its mid-rank among the customers of `fit`, as a share:
    (number below + half the number equal) / n. New customers are ranked among those of `fit`.

    A customer without any history has no recency. It belongs to no cluster (-1), takes no part
    in the fit, has the highest risk (1.0) and is labelled high-risk.

    Examples
    --------
    >>> from rfmrisk import ProxyLabeler, RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> rfm = RFMAggregator(window="30D").fit_transform(histories)
    >>> labeler = ProxyLabeler().fit(rfm)
    >>> list(labeler.transform(rfm).columns)
    ['recency', 'frequency', 'monetary', 'cluster', 'is_high_risk']
    >>> labeler.cluster_profile()["recency_median"].is_monotonic_increasing
    True
    """

    def __init__(
        self,
        n_clusters: int = 3,
        scaling: Literal["risk", "rank", "log", "standard", "robust"] | None = "risk",
        directions: Mapping[str, int] | None = None,
        random_state: Any = 42,
    ) -> None:
        self.n_clusters = n_clusters
        self.scaling = scaling
        self.directions = directions
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Rank and cluster the customers.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)
            Recency, frequency and monetary value, or any table with ``directions``.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._check_parameters()
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        self._choose_columns()
        values = values[:, self._places]
        known = self._known(values)
        table = values[known]
        self._learn_scaling(table)

        risk = self._average_rank(table)
        scaled = self._scale(table, risk)
        n_distinct = len(np.unique(scaled, axis=0))
        if n_distinct < self.n_clusters:
            raise ValueError(
                f"{self.n_clusters} clusters need as many different customers; the "
                f"{len(table)} with a history (n_samples={len(values)}) have {n_distinct} "
                "different value(s). Lower n_clusters or use a longer log"
            )
        self.cluster_centers_ = _cluster(scaled, risk, self.n_clusters, self.random_state)

        self.labels_ = np.full(len(values), _NO_HISTORY)
        self.labels_[known] = self._nearest(scaled)
        self.flagged_share_ = float(np.mean(self._flag(self.labels_)))
        self._keep_profile(values)
        self._warn_if_degenerate()
        return self

    def predict(self, X: Any) -> Ints:
        """Return the label of each customer: 1 is high-risk.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)

        Returns
        -------
        ndarray of int of shape (n_customers,)
        """
        return self._flag(self._clusters(self._values(X)))

    def transform(self, X: Any) -> Any:
        """Return the input with ``cluster`` and ``is_high_risk`` beside it.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)

        Returns
        -------
        DataFrame or ndarray of shape (n_customers, n_features + 2)
            Of the kind of ``X``.
        """
        cluster = self._clusters(self._values(X))
        flag = self._flag(cluster)
        if isinstance(X, pd.DataFrame):
            return X.assign(cluster=cluster, is_high_risk=flag)
        return np.column_stack((np.asarray(X, dtype=np.float64), cluster, flag))

    def decision_function(self, X: Any) -> Floats:
        """Return the continuous risk: the average rank in the risky direction.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)

        Returns
        -------
        ndarray of shape (n_customers,)
            From 0 (safest) to 1 (riskiest), monotone in each column's direction; 1 for a
            customer without any history.
        """
        values = self._values(X)
        known = self._known(values)
        risk = np.ones(len(values))
        risk[known] = self._average_rank(values[known])
        return risk

    def fit_predict(self, X: Any, y: Any = None) -> Ints:
        """Fit, and return the labels of the same customers.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)
        y : None
            Ignored.

        Returns
        -------
        ndarray of int of shape (n_customers,)
        """
        return self._flag(self.fit(X).labels_)

    def cluster_profile(self) -> pd.DataFrame:
        """Return size, share and quartiles of each cluster, in original units.

        Returns
        -------
        DataFrame of shape (n_clusters, 2 + 3 * n_columns)
            Safest first, riskiest last; customers without any history, if there were some, are
            the last row, under the name ``no history``.
        """
        check_is_fitted(self)
        names = [*map(str, range(self.n_clusters)), "no history"]
        profile = pd.DataFrame(self._profile, index=pd.Index(names, name="cluster"))
        profile["size"] = profile["size"].astype(int)
        return profile if profile["size"].iloc[-1] else profile.iloc[:-1]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the input and the two columns that `transform` adds.

        Parameters
        ----------
        input_features : array-like of str or None

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return np.concatenate((names, ["cluster", "is_high_risk"])).astype(object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check_parameters(self) -> None:
        if not isinstance(self.n_clusters, int | np.integer) or self.n_clusters < 2:
            raise ValueError(f"n_clusters must be an integer of at least 2; got {self.n_clusters!r}")
        if self.scaling not in _SCALINGS:
            raise ValueError(f"scaling must be one of {_SCALINGS}; got {self.scaling!r}")
        if self.directions is not None:
            wrong = {name: sign for name, sign in self.directions.items() if sign not in (1, -1)}
            if wrong or not self.directions:
                raise ValueError(
                    "directions must map column names to 1 (higher is riskier) or -1; "
                    f"got {dict(self.directions)}"
                )

    def _choose_columns(self) -> None:
        """Resolve the directions to places in the input, once."""
        names = list(getattr(self, "feature_names_in_", []))
        if self.directions is not None:
            absent = [name for name in self.directions if name not in names]
            if absent:
                raise ValueError(
                    f"directions name the column(s) {absent}; the columns are "
                    f"{names or f'{self.n_features_in_} without names'}"
                )
            chosen = dict(self.directions)
        else:
            chosen = {name: _RFM[end] for name in names if (end := name.split("__")[-1]) in _RFM}
            without = [name for name in names if name not in chosen]
            if chosen and without:
                raise ValueError(
                    f"the column(s) {without} have no direction: give directions with 1 where a "
                    "higher value is riskier and -1 where a lower one is"
                )
            if names and not chosen:
                warnings.warn(
                    f"no column is called recency, frequency or monetary: {names[0]!r} is taken "
                    "as the recency and the others as engagement; give directions to choose",
                    UserWarning,
                    stacklevel=3,
                )
        if chosen:
            self.columns_ = list(chosen)
            self._places = [names.index(name) for name in chosen]
            self._signs = [int(sign) for sign in chosen.values()]
            ends = [name.split("__")[-1] for name in chosen]
            self._recency_place = ends.index("recency") if "recency" in ends else -1
        else:
            self.columns_ = names or [f"x{place}" for place in range(self.n_features_in_)]
            self._places = list(range(self.n_features_in_))
            self._signs = [1] + [-1] * (self.n_features_in_ - 1)
            self._recency_place = 0

    def _values(self, X: Any) -> Floats:
        check_is_fitted(self)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        return values[:, self._places]

    def _known(self, values: Floats) -> NDArray[np.bool_]:
        """Tell which customers have a history; any other missing value is an error."""
        known = np.ones(len(values), dtype=bool)
        if self._recency_place >= 0:
            known = ~np.isnan(values[:, self._recency_place])
        missing = np.isnan(values[known])
        if missing.any():
            counts = {
                name: int(count)
                for name, count in zip(self.columns_, missing.sum(axis=0), strict=True)
                if count
            }
            raise ValueError(
                f"missing values (NaN) by column: {counts}, of {len(missing):,} customers with a "
                "history; only a customer without any history may have them. Impute them, or "
                "leave the column out"
            )
        return known

    def _learn_scaling(self, table: Floats) -> None:
        self._sorted = np.sort(table, axis=0)
        if self.scaling == "log":
            sizes = np.where(table == 0, np.nan, np.abs(table))
            some = ~np.isnan(sizes).all(axis=0)
            self._unit = np.ones(table.shape[1])
            self._unit[some] = np.nanmedian(sizes[:, some], axis=0)
            table = _signed_log(table / self._unit)
        if self.scaling in ("log", "standard"):
            self._center, self._spread = table.mean(axis=0), table.std(axis=0)
        elif self.scaling == "robust":
            low, self._center, high = np.quantile(table, [0.25, 0.5, 0.75], axis=0)
            self._spread = high - low
        else:
            self._center, self._spread = np.zeros(table.shape[1]), np.ones(table.shape[1])
        self._spread = np.where(self._spread > 0, self._spread, 1.0)

    def _risky_ranks(self, table: Floats) -> Floats:
        ranks = np.empty_like(table)
        for column, sign in enumerate(self._signs):
            below = np.searchsorted(self._sorted[:, column], table[:, column], side="left")
            up_to = np.searchsorted(self._sorted[:, column], table[:, column], side="right")
            rank = (below + up_to) / (2 * len(self._sorted))
            ranks[:, column] = rank if sign == 1 else 1 - rank
        return ranks

    def _average_rank(self, table: Floats) -> Floats:
        return self._risky_ranks(table).mean(axis=1)

    def _scale(self, table: Floats, risk: Floats) -> Floats:
        if self.scaling == "risk":
            return risk[:, None]
        if self.scaling == "rank":
            return self._risky_ranks(table)
        if self.scaling == "log":
            table = _signed_log(table / self._unit)
        return (table - self._center) / self._spread

    def _nearest(self, scaled: Floats) -> Ints:
        return pairwise_distances_argmin(scaled, self.cluster_centers_).astype(np.int64)

    def _clusters(self, values: Floats) -> Ints:
        known = self._known(values)
        clusters = np.full(len(values), _NO_HISTORY)
        if known.any():
            table = values[known]
            clusters[known] = self._nearest(self._scale(table, self._average_rank(table)))
        return clusters

    def _flag(self, clusters: Ints) -> Ints:
        return ((clusters == self.n_clusters - 1) | (clusters == _NO_HISTORY)).astype(np.int64)

    def _keep_profile(self, values: Floats) -> None:
        groups = [*range(self.n_clusters), _NO_HISTORY]
        sizes = [int((self.labels_ == cluster).sum()) for cluster in groups]
        self._profile: dict[str, list[float]] = {
            "size": list(map(float, sizes)),
            "share": [size / len(values) for size in sizes],
        }
        for place, name in enumerate(self.columns_):
            for suffix, q in (("q25", 0.25), ("median", 0.5), ("q75", 0.75)):
                self._profile[f"{name}_{suffix}"] = [
                    float(np.quantile(values[self.labels_ == cluster, place], q)) if size else np.nan
                    for cluster, size in zip(groups, sizes, strict=True)
                ]

    def _warn_if_degenerate(self) -> None:
        found = []
        if not 0.01 <= self.flagged_share_ <= 0.60:
            found.append(f"{self.flagged_share_:.2%} of the customers are flagged high-risk")
        shares = self._profile["share"][: self.n_clusters]
        if min(shares) < 0.01:
            found.append(f"cluster {int(np.argmin(shares))} holds {min(shares):.2%} of them")
        if found:
            warnings.warn(
                f"the label is degenerate: {' and '.join(found)}. Use scaling='risk', another "
                "n_clusters, or a window that fits the rhythm of the log (suggest_outcome)",
                UserWarning,
                stacklevel=3,
            )


def _cluster(scaled: Floats, risk: Floats, n_clusters: int, random_state: Any) -> Floats:
    """Return the centres of K-Means, safest first, independent of seed and of row order.

    The centres start from equal parts of the ranking, and the rows are sorted first, so that
    no sum depends on their order; one thread adds up in one order.
    """
    order = np.lexsort((*scaled.T, risk))
    scaled, risk = scaled[order], risk[order]
    start = np.array([part.mean(axis=0) for part in np.array_split(scaled, n_clusters)])
    with threadpool_limits(limits=1, user_api="openmp"):
        kmeans = KMeans(
            n_clusters, init=start, n_init=1, tol=1e-6, max_iter=1_000, random_state=random_state
        ).fit(scaled)
    mean_risk = [risk[kmeans.labels_ == cluster].mean() for cluster in range(n_clusters)]
    return kmeans.cluster_centers_[np.argsort(mean_risk)]


def _signed_log(values: Floats) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values))
