"""The proxy label: the least engaged cluster of customers is called high-risk."""

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from rfmrisk.histories.parameters import SHARE, Constraints, at_least
from rfmrisk.histories.segments import Floats, Ints
from rfmrisk.proxy.clustering import cluster_centres, nearest, threshold_for
from rfmrisk.proxy.ranking import (
    check_directions,
    choose_columns,
    count_levels,
    risky_ranks,
    significant,
    with_history,
)

_NO_HISTORY = -1


class ProxyLabeler(TransformerMixin, BaseEstimator):
    """Label the least engaged customers as high-risk, by K-Means on a ranking.

    Engagement stands in for the default label that the log lacks. It is not the same thing:
    check it against real outcomes where some exist (`rfmrisk.proxy.validate_proxy`).

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
        is, such as a balance or a lateness beside RFM. None stands for
        ``{"recency": 1, "frequency": -1, "monetary": -1}``, also as ``rfm__recency`` and so on;
        without column names the first column is taken as the recency and the others as
        engagement.
    random_state : int, RandomState instance or None, default=42
        Passed on to K-Means. The result does not depend on it, because the centres start from
        the ranking of the customers.
    strategy : {"clusters", "share"}, default="clusters"
        Label the riskiest of ``n_clusters`` clusters, or the ``share`` of customers with the
        highest risk; then ``n_clusters`` and ``scaling`` are not used, and the clusters are the
        customers that are not labelled (0) and those that are (1).
    share : float, default=0.2
        Share of the customers of `fit` to label with ``strategy="share"``, between 0 and 1.
        Customers with the same risk have the same label, so with ties it is the nearest
        possible share.

    Attributes
    ----------
    labels_ : ndarray of shape (n_customers,)
        Cluster of each customer of `fit`, from 0 (safest) to n_clusters - 1 (riskiest); -1 for
        customers without any history.
    cluster_centers_ : ndarray of shape (n_clusters, n_dimensions)
        Centres in the scaled space, safest first; only with ``strategy="clusters"``.
    threshold_ : float
        Risk from which on a customer is labelled; only with ``strategy="share"``.
    flagged_share_ : float
        Share of the customers of `fit` that are labelled high-risk.
    degenerate_ : list of str
        What is degenerate about the label, as text; empty where nothing is.
    n_clusters_ : int
    columns_ : list of str
        The columns that are used.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Warns
    -----
    UserWarning
        The label is degenerate: it flags under 1 % or over 60 % of the customers, a cluster
        holds under 1 % of them, or ties keep it from the share that was asked for.

    See Also
    --------
    rfmrisk.proxy.label_stability : How many labels flip when the sample changes a little.

    Notes
    -----
    The rank of a value is its mid-rank among the customers of `fit`, as a share:
    (number below + half the number equal) / n, with values that agree in 12 significant digits
    counted as equal. New customers are ranked among those of `fit`.

    On the risk and on ranks, K-Means takes a single step from equal parts of the range of the
    risk. Run to convergence it gives nearly the same clusters, but their borders follow the
    noise of the sample: on 2,000 customers twice as many labels flip under a bootstrap. With the
    other scalings it starts from equal parts of the ranking and runs to convergence.

    Recency looks at the whole history even where a window restricts frequency and monetary value.
    Customers with a frequency of 0 were all absent from the window, and are clustered as equally
    long absent: how long they had been so before it is no part of what followed. The continuous
    risk of `decision_function`, and with it ``strategy="share"``, keeps the difference.

    A customer without any history has no recency (NaN, in a column called recency). It belongs
    to no cluster (-1), takes no part in the fit, has the highest risk (1.0) and is labelled
    high-risk.

    Examples
    --------
    >>> from rfmrisk import ProxyLabeler, RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> rfm = RFMAggregator(window="90D").fit_transform(histories)
    >>> labeler = ProxyLabeler().fit(rfm)
    >>> list(labeler.transform(rfm).columns)
    ['recency', 'frequency', 'monetary', 'cluster', 'is_high_risk']
    >>> labeler.cluster_profile()["recency_median"].is_monotonic_increasing
    True
    >>> ProxyLabeler(strategy="share", share=0.1).fit(rfm).flagged_share_
    0.1
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "n_clusters": [at_least(1)],
        "scaling": [StrOptions({"risk", "rank", "log", "standard", "robust"}), None],
        "random_state": ["random_state"],
        "strategy": [StrOptions({"clusters", "share"})],
        "share": [SHARE],
    }

    def __init__(
        self,
        n_clusters: int = 3,
        scaling: Literal["risk", "rank", "log", "standard", "robust"] | None = "risk",
        directions: Mapping[str, int] | None = None,
        random_state: Any = 42,
        *,
        strategy: Literal["clusters", "share"] = "clusters",
        share: float = 0.2,
    ) -> None:
        self.n_clusters = n_clusters
        self.scaling = scaling
        self.directions = directions
        self.random_state = random_state
        self.strategy = strategy
        self.share = share

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

        Raises
        ------
        ValueError
            A parameter or a column is wrong, values are missing or infinite, or fewer customers
            than clusters differ.
        """
        self._validate_params()
        check_directions(self.directions)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        self._bind_columns()
        values = values[:, self._places]
        known = with_history(values, self.columns_, self._recency)
        table = significant(values[known])
        self._learn_scaling(table)
        self.n_clusters_ = int(self.n_clusters) if self.strategy == "clusters" else 2

        table = self._within_window(table)
        risk = self._average_rank(table)
        scaled = self._scale(table, risk)
        self._check_distinct(scaled, len(values))
        if self.strategy == "share":
            self.threshold_ = threshold_for(risk, self.share * len(values) - np.sum(~known))
        else:
            on_ranks = self.scaling in ("risk", "rank")
            self.cluster_centers_ = cluster_centres(
                scaled, risk, self.n_clusters_, one_step=on_ranks, random_state=self.random_state
            )
        self.labels_ = np.full(len(values), _NO_HISTORY)
        self.labels_[known] = self._assign(scaled, risk)
        self.flagged_share_ = float(np.mean(self._flag(self.labels_)))
        self._keep_profile(values)
        self.degenerate_ = self._degenerate()
        if self.degenerate_:
            warnings.warn(
                f"the label is degenerate: {' and '.join(self.degenerate_)}. Use scaling='risk', "
                "another n_clusters, or a window that fits the rhythm of the log (suggest_outcome)",
                UserWarning,
                stacklevel=2,
            )
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
        return self._flag(self.predict_cluster(X))

    def predict_cluster(self, X: Any) -> Ints:
        """Return the cluster of each customer, -1 for those without any history.

        Parameters
        ----------
        X : {DataFrame, ndarray} of shape (n_customers, n_features)

        Returns
        -------
        ndarray of int of shape (n_customers,)
        """
        known, table = self._known_table(X)
        clusters = np.full(len(known), _NO_HISTORY)
        if len(table):
            table = self._within_window(table)
            risk = self._average_rank(table)
            clusters[known] = self._assign(self._scale(table, risk), risk)
        return clusters

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
        cluster = self.predict_cluster(X)
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
        known, table = self._known_table(X)
        risk = np.ones(len(known))
        risk[known] = self._average_rank(table)
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
        names = [*map(str, range(self.n_clusters_)), "no history"]
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

    def _bind_columns(self) -> None:
        names = [str(name) for name in getattr(self, "feature_names_in_", [])]
        taken = [name for name in ("cluster", "is_high_risk") if name in names]
        if taken:
            raise ValueError(f"the table already has the column(s) {taken}: leave them out")
        chosen = choose_columns(names, self.n_features_in_, self.directions)
        self.columns_, self._places, self._signs, self._recency = chosen

    def _known_table(self, X: Any) -> tuple[NDArray[np.bool_], Floats]:
        check_is_fitted(self)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )[:, self._places]
        known = with_history(values, self.columns_, self._recency)
        return known, significant(values[known])

    def _within_window(self, table: Floats) -> Floats:
        """Tie the customers without a transaction in the window, whenever they came before it."""
        ends = [name.split("__")[-1] for name in self.columns_]
        if self.strategy == "share" or "recency" not in ends or "frequency" not in ends:
            return table
        recency, frequency = ends.index("recency"), ends.index("frequency")
        table = table.copy()
        table[table[:, frequency] == 0, recency] = self._levels[recency][-1:]
        return table

    def _learn_scaling(self, table: Floats) -> None:
        # Sums run over sorted columns: they do not depend on the order of the rows.
        ordered = np.sort(table, axis=0)
        counted = [count_levels(values) for values in ordered.T]
        self._levels = [levels for levels, _ in counted]
        self._below = [below for _, below in counted]
        self._unit = np.ones(table.shape[1])
        self._center, self._spread = np.zeros(table.shape[1]), np.ones(table.shape[1])
        if not len(table):
            return
        if self.scaling == "log":
            for column, values in enumerate(ordered.T):
                sizes = np.abs(values[values != 0])
                self._unit[column] = np.median(sizes) if len(sizes) else 1.0
            ordered = _signed_log(ordered / self._unit)
        if self.scaling in ("log", "standard"):
            self._center, self._spread = ordered.mean(axis=0), ordered.std(axis=0)
        elif self.scaling == "robust":
            low, self._center, high = np.quantile(ordered, [0.25, 0.5, 0.75], axis=0)
            self._spread = high - low
        self._spread = np.where(self._spread > 0, self._spread, 1.0)

    def _ranks(self, table: Floats) -> Floats:
        counted = list(zip(self._levels, self._below, strict=True))
        return risky_ranks(counted, table, self._signs)

    def _average_rank(self, table: Floats) -> Floats:
        return self._ranks(table).mean(axis=1)

    def _scale(self, table: Floats, risk: Floats) -> Floats:
        if self.scaling == "risk" or self.strategy == "share":
            return risk[:, None]
        if self.scaling == "rank":
            return self._ranks(table)
        if self.scaling == "log":
            table = _signed_log(table / self._unit)
        return (table - self._center) / self._spread

    def _assign(self, scaled: Floats, risk: Floats) -> Ints:
        if self.strategy == "share":
            return (risk >= self.threshold_).astype(np.int64)
        return nearest(scaled, self.cluster_centers_)

    def _flag(self, clusters: Ints) -> Ints:
        return ((clusters == self.n_clusters_ - 1) | (clusters == _NO_HISTORY)).astype(np.int64)

    def _check_distinct(self, scaled: Floats, n_customers: int) -> None:
        n_distinct = len(np.unique(scaled, axis=0 if scaled.shape[1] > 1 else None))
        if n_distinct < self.n_clusters_:
            raise ValueError(
                f"{self.n_clusters_} clusters need as many different customers; the "
                f"{len(scaled)} with a history (n_samples={n_customers}) have {n_distinct} "
                "different value(s). Lower n_clusters or use a longer log"
            )

    def _keep_profile(self, values: Floats) -> None:
        members = [self.labels_ == cluster for cluster in (*range(self.n_clusters_), _NO_HISTORY)]
        sizes = [int(rows.sum()) for rows in members]
        self._profile: dict[str, list[float]] = {
            "size": list(map(float, sizes)),
            "share": [size / len(values) for size in sizes],
        }
        nothing = np.full(3, np.nan)
        for place, name in enumerate(self.columns_):
            quartiles = [
                np.quantile(values[rows, place], [0.25, 0.5, 0.75]) if rows.any() else nothing
                for rows in members
            ]
            for suffix, values_of in zip(
                ("q25", "median", "q75"), np.transpose(quartiles), strict=True
            ):
                self._profile[f"{name}_{suffix}"] = values_of.tolist()

    def _degenerate(self) -> list[str]:
        found = []
        if not 0.01 <= self.flagged_share_ <= 0.60 and self.strategy == "clusters":
            found.append(f"{self.flagged_share_:.2%} of the customers are flagged high-risk")
        if self.strategy == "share" and abs(self.flagged_share_ - self.share) > 0.01:
            found.append(
                f"{self.flagged_share_:.2%} of the customers are flagged where {self.share:.2%} "
                "were asked for, because of ties or of customers without a history"
            )
        shares = self._profile["share"][: self.n_clusters_]
        if min(shares) < 0.01 and self.strategy == "clusters":
            found.append(f"cluster {int(np.argmin(shares))} holds {min(shares):.2%} of them")
        return found


def _signed_log(values: Floats) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values))
