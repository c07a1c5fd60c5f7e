"""The proxy against reality: whether it ranks the customers who really defaulted."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from rfmrisk.histories.parameters import at_least, check_parameters
from rfmrisk.proxy.auc import bootstrap_auc, interval
from rfmrisk.proxy.leakage import LeakageReport, leakage_report
from rfmrisk.proxy.stability import LabelStability, label_stability

__all__ = [
    "LabelStability",
    "LeakageReport",
    "ProxyValidation",
    "label_stability",
    "leakage_report",
    "validate_proxy",
]

_WORTHWHILE = 0.55  # below it an AUC is of no use, however sure one is of it


@dataclass(frozen=True, repr=False)
class ProxyValidation:
    """What `validate_proxy` found.

    Attributes
    ----------
    auc : float
        ROC-AUC of the risk against the outcomes.
    auc_interval : tuple of two floats
        Its 95 % bootstrap interval.
    capture_rate : float
        Share of the bads among the tenth of customers with the highest risk.
    lift : float
        The bad rate in this tenth over that of all.
    kappa : float
        Cohen's kappa of the labels and the outcomes.
    table : DataFrame
        One row per decile of the risk, 1 the safest: customers, bads, bad_rate, mean_risk.
        Customers with the same risk share a decile.
    n_customers, n_bad : int
        Customers, or rows, with a risk and an outcome, and the bads among them.
    n_without_outcome, n_without_risk : int
        Ids that have the one and not the other, and so were not compared.
    """

    auc: float
    auc_interval: tuple[float, float]
    capture_rate: float
    lift: float
    kappa: float
    table: pd.DataFrame
    n_customers: int
    n_bad: int
    n_without_outcome: int
    n_without_risk: int

    @property
    def verdict(self) -> str:
        """What the numbers mean for the use of the proxy, as text."""
        low, high = self.auc_interval
        measured = f"AUC {self.auc:.2f} [{low:.2f}, {high:.2f}]"
        if high < 0.5:
            return f"ranks real defaults the wrong way round: {measured}"
        if low <= 0.5:
            return f"no better than chance: {measured}"
        if self.auc < _WORTHWHILE:
            return f"hardly better than chance: {measured}"
        return f"ranks real defaults: {measured}"

    def __repr__(self) -> str:
        shown = self.table.assign(
            bad_rate=self.table["bad_rate"].map("{:.2%}".format),
            mean_risk=self.table["mean_risk"].map("{:.3f}".format),
        )
        return (
            f"{self.verdict}\n"
            f"{self.n_customers:,} customers with an outcome, {self.n_bad:,} of them bad; "
            f"{self.n_without_outcome:,} without an outcome and {self.n_without_risk:,} outcomes "
            "without a risk are not compared\n"
            f"the riskiest tenth holds {self.capture_rate:.1%} of the bads (lift {self.lift:.2f}); "
            f"kappa of the labels {self.kappa:.3f}\n{shown.to_string()}"
        )


def validate_proxy(
    risk: Any,
    outcome: Any,
    n_resamples: int = 2_000,
    *,
    labels: Any = None,
    random_state: Any = 0,
) -> ProxyValidation:
    """Compare a risk with real outcomes, where some are known.

    Parameters
    ----------
    risk : Series or array-like of shape (n,)
        Higher is riskier: `ProxyLabeler.decision_function`, or a probability. A Series whose
        index holds the customers is matched with ``outcome`` by it.
    outcome : Series or array-like of shape (m,)
        0 or 1; 1 is bad. A Series is matched by its index, in which not all customers need be;
        an array must have the length of ``risk``.
    n_resamples : int, default=2000
        Bootstrap samples of customers, behind the interval. Rows with the same index are of one
        customer and are drawn together.
    labels : Series, array-like of shape (n,) or None, default=None
        The proxy labels, like ``risk``. None flags as many customers as are bad, those with the
        highest risk.
    random_state : int, RandomState instance or None, default=0
        Of the bootstrap.

    Returns
    -------
    ProxyValidation
        It prints as a verdict with a calibration; `rfmrisk.proxy.ProxyValidationDisplay`
        draws it.

    Raises
    ------
    ValueError
        Values are missing or infinite, the outcomes are of one class or other than 0 and 1, or
        no id is in both.

    Notes
    -----
    The verdict is "ranks real defaults" where the interval of the AUC lies above 0.5 and the
    AUC is at least 0.55, and "no better than chance" where the interval holds 0.5. Where ties
    straddle the top decile, their bads are shared out evenly. Kappa is Cohen's [1]_.

    References
    ----------
    .. [1] J. Cohen, "A coefficient of agreement for nominal scales", Educational and
       Psychological Measurement 20, 1960.

    Examples
    --------
    >>> from rfmrisk import ProxyLabeler, RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import validate_proxy
    >>> log, defaults = make_transactions(n_customers=500, random_state=0, return_defaults=True)
    >>> rfm = RFMAggregator().fit_transform(to_histories(log))
    >>> risk = ProxyLabeler().fit(rfm).decision_function(rfm)
    >>> result = validate_proxy(pd.Series(risk, rfm.index), defaults, n_resamples=200)
    >>> result.verdict
    'ranks real defaults: AUC ...'
    """
    check_parameters(
        "validate_proxy",
        n_resamples=(n_resamples, [at_least(1)]),
        random_state=(random_state, ["random_state"]),
    )
    scores = _series(risk, "risk")
    truth = _series(outcome, "outcome")
    n_outcomes = len(truth)
    if not np.isin(truth, (0, 1)).all():
        got = sorted(set(truth[~truth.isin((0, 1))]))[:5]
        raise ValueError(f"outcome must be 0 or 1, 1 being bad; got also {got}")
    flags = None if labels is None else _series(labels, "labels")
    if flags is not None and not flags.index.equals(scores.index):
        raise ValueError(
            f"labels must be of the customers of risk, in their order; got {len(flags):,} for "
            f"{len(scores):,}"
        )
    if isinstance(risk, pd.Series) and isinstance(outcome, pd.Series):
        rows, truth, n_without_risk = _match(scores, truth)
    elif len(scores) == len(truth):
        rows, n_without_risk = np.arange(len(scores)), 0
        truth = truth.set_axis(scores.index if isinstance(risk, pd.Series) else truth.index)
    else:
        raise ValueError(
            f"risk has {len(scores):,} rows and outcome {len(truth):,}: give both as Series "
            "with the customers as index, or in the same order"
        )
    if n_without_risk:
        warnings.warn(
            f"{n_without_risk:,} of {n_outcomes:,} ids of outcome have no risk: they are not "
            "compared",
            UserWarning,
            stacklevel=2,
        )
    values, bad = scores.to_numpy()[rows], truth.to_numpy() == 1
    if bad.all() or not bad.any():
        raise ValueError(
            f"the outcomes of the {len(bad):,} customers that are compared are all "
            f"{int(bad[0])}: both goods and bads are needed"
        )
    if flags is None:
        flagged = values >= np.sort(values)[len(bad) - bad.sum()]
    else:
        flagged = flags.to_numpy()[rows] == 1
    aucs = bootstrap_auc(values[None, :], bad, truth.index, int(n_resamples), random_state)[:, 0]
    capture = _captured(values, bad, 0.1)
    return ProxyValidation(
        auc=float(aucs[0]),
        auc_interval=interval(aucs[1:]),
        capture_rate=capture,
        lift=capture / 0.1,
        kappa=float(cohen_kappa_score(bad, flagged)),
        table=_deciles(values, bad),
        n_customers=len(bad),
        n_bad=int(bad.sum()),
        n_without_outcome=len(scores) - len(rows),
        n_without_risk=n_without_risk,
    )


def _series(values: Any, name: str) -> pd.Series:
    if np.ndim(values) != 1:
        raise ValueError(
            f"{name} must have one value per customer, such as predict_proba(X)[:, 1]; got shape "
            f"{np.shape(values)}"
        )
    series = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values))
    try:
        series = series.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers: {error}") from error
    wrong = int((~np.isfinite(series)).sum())
    if wrong:
        raise ValueError(
            f"{name} has {wrong:,} missing or infinite value(s) of {len(series):,}: leave out the "
            "customers without one"
        )
    return series


def _match(scores: pd.Series, truth: pd.Series) -> tuple[NDArray[np.intp], pd.Series, int]:
    """Return the rows that have an outcome, these outcomes, and how many outcomes have no row."""
    if scores.index.equals(truth.index):
        return np.arange(len(scores)), truth, 0
    if not truth.index.is_unique:
        raise ValueError(
            f"outcome has {int(truth.index.duplicated().sum()):,} repeated id(s): give one per "
            "customer, or the same rows as risk in the same order"
        )
    place = truth.index.get_indexer(scores.index)
    rows = np.flatnonzero(place >= 0)
    if not len(rows):
        raise ValueError(
            f"none of the {len(truth):,} ids of outcome is among the {len(scores):,} of risk"
        )
    n_without_risk = len(truth) - len(np.unique(place[rows]))
    return rows, truth.iloc[place[rows]], n_without_risk


def _captured(values: NDArray[np.float64], bad: NDArray[np.bool_], share: float) -> float:
    _, place = np.unique(-values, return_inverse=True)
    reached = np.concatenate(([0.0], np.cumsum(np.bincount(place))))
    bads = np.concatenate(([0.0], np.cumsum(np.bincount(place, weights=bad))))
    return float(np.interp(share * len(bad), reached, bads) / bad.sum())


def _deciles(values: NDArray[np.float64], bad: NDArray[np.bool_]) -> pd.DataFrame:
    rank = pd.Series(values).rank().to_numpy() - 0.5
    decile = np.minimum(rank * 10 // len(values), 9).astype(int) + 1
    groups = pd.DataFrame({"decile": decile, "bad": bad, "risk": values}).groupby("decile")
    return pd.DataFrame(
        {
            "customers": groups["bad"].size(),
            "bads": groups["bad"].sum(),
            "bad_rate": groups["bad"].mean(),
            "mean_risk": groups["risk"].mean(),
        }
    )
