"""Whether a model predicts, or repeats the definition of its label."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.pipeline import Pipeline

from rfmrisk.aggregation import RFMAggregator, customer_features
from rfmrisk.histories.flat import flatten
from rfmrisk.histories.parameters import at_least, check_parameters
from rfmrisk.histories.segments import Floats
from rfmrisk.histories.timestamps import parse_timestamp
from rfmrisk.proxy.auc import auc, bootstrap_auc, interval
from rfmrisk.proxy.classifier import ProxyTargetClassifier
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.proxy.target import derive_target

TELLTALE = 0.98  # an AUC from which on a column is taken for the label in disguise


@dataclass(frozen=True, repr=False)
class LeakageReport:
    """What `leakage_report` found.

    Attributes
    ----------
    table : DataFrame
        The model and the one-column baselines on the same held-out customers: ``auc`` with its
        95 % interval ``low`` to ``high``, and ``gain`` of the model over the baseline with
        ``gain_low`` to ``gain_high``.
    features : Series
        ROC-AUC of each feature alone against the label, in its better direction, best first.
    n_customers_on_both_sides : int
        Customers of a training part that are also in its test part, at the worst split; splits
        by time, in which all training decisions come first, do not count.
    n_overlapping : int or None
        Rows whose features may see the outcome window; None where that is not known.
    alarms : list of str
        What is wrong, as text; empty where nothing is.
    n_customers : int
    """

    table: pd.DataFrame
    features: pd.Series
    n_customers_on_both_sides: int
    n_overlapping: int | None
    alarms: list[str]
    n_customers: int

    @property
    def verdict(self) -> str:
        """Whether there is a leak, as text."""
        if self.alarms:
            return "LEAK: " + "; ".join(self.alarms)
        found = "no leak found: no feature alone gives the label, and no customer is on both sides"
        ahead = self.table["gain_low"].dropna() > 0
        if ahead.all():
            return f"{found}; the model beats recency alone and frequency alone"
        behind = " and ".join(ahead.index[~ahead])
        return f"{found}; but the model is not better than {behind}"

    def __repr__(self) -> str:
        shown = self.table.map("{:.3f}".format).replace("nan", "")
        overlap = "unknown" if self.n_overlapping is None else f"{self.n_overlapping:,}"
        return (
            f"{self.verdict}\n"
            f"{self.n_customers:,} customers; rows with overlapping windows: {overlap}; customers "
            f"on both sides of a split: {self.n_customers_on_both_sides:,}\n{shown.to_string()}\n"
            f"AUC of the best features alone:\n{self.features.head(5).round(3).to_string()}"
        )


def leakage_report(
    model: Any,
    histories: pd.DataFrame,
    y: Any = None,
    *,
    outcome_from: Any = None,
    cv: Any = 5,
    n_resamples: int = 500,
    random_state: Any = 0,
) -> LeakageReport:
    """Compare a model with one-column baselines, and look for the label among its features.

    Parameters
    ----------
    model : ProxyTargetClassifier, Pipeline or classifier
        It is refitted for each split. The features are the output of the first step of a
        Pipeline, or those of `customer_features`.
    histories : DataFrame of shape (n_rows, 2)
        What the model is trained on.
    y : Series, array-like of shape (n_rows,) or None, default=None
        The labels, 1 is bad; a Series is matched by its index. None takes those that a
        `ProxyTargetClassifier` derives, and the histories from before its outcome window.
    outcome_from : timestamp, Series or None, default=None
        When the outcome window of the labels opens; a Series has one timestamp per row. None is not
        known, but for the labels of a `ProxyTargetClassifier`.
    cv : int, splitter or iterable, default=5
        How to hold out; an int splits rows, stratified and shuffled, and customers where the
        labels are derived. Those on both sides are counted by the index of the histories.
    n_resamples : int, default=500
        Bootstrap samples of customers, behind the intervals.
    random_state : int, RandomState instance or None, default=0
        Of the splits and the bootstrap.

    Returns
    -------
    LeakageReport
        It prints as a verdict with a table; `rfmrisk.proxy.LeakageDisplay` draws it.

    Raises
    ------
    ValueError
        ``y`` and the histories are of different customers, or ``y`` has one class.

    Warns
    -----
    UserWarning
        The report has alarms.

    Notes
    -----
    The alarm is raised where a feature alone, the average rank of recency, frequency and
    monetary, or the held-out model reaches an AUC of 0.98, where features and labels look at the
    same time, and where customers are on both sides of a split. The AUC of a categorical feature
    is that of its cross-fitted target mean; missing values of a number count as the lowest or
    the highest, whichever separates better.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from rfmrisk import ProxyTargetClassifier, RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import leakage_report
    >>> histories = to_histories(make_transactions(n_customers=500, random_state=0))
    >>> model = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    >>> leakage_report(ProxyTargetClassifier(model), histories, n_resamples=50).verdict
    'no leak found: ...'
    """
    check_parameters(
        "leakage_report",
        cv=(cv, ["cv_object"]),
        n_resamples=(n_resamples, [at_least(1)]),
        random_state=(random_state, ["random_state"]),
    )
    derived = y is None
    if derived:
        if not isinstance(model, ProxyTargetClassifier):
            raise ValueError(
                "y is needed: only a ProxyTargetClassifier derives its labels itself; got "
                f"{type(model).__name__}"
            )
        model, histories, y, outcome_from = _derive(model, histories)
    elif isinstance(model, ProxyTargetClassifier):
        model = model.classifier
    bad = _target(y, histories)
    if isinstance(cv, int | np.integer):
        kind = StratifiedGroupKFold if derived else StratifiedKFold
        cv = kind(int(cv), shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The groups parameter is ignored")
        splits = list(check_cv(cv, bad, classifier=True).split(histories, bad, histories.index))

    held_out, risk = _held_out_risk(model, histories, bad, splits)
    rfm = RFMAggregator().fit_transform(histories)
    scores = {
        "model": risk[held_out],
        "recency alone": rfm["recency"].fillna(np.inf).to_numpy()[held_out],
        "frequency alone": -rfm["frequency"].to_numpy(np.float64)[held_out],
    }
    table = _compare(scores, bad[held_out], histories.index[held_out], n_resamples, random_state)
    features = _features_alone(model, histories, rfm, bad)
    both = _on_both_sides(histories, splits)
    overlapping = None if outcome_from is None else _overlap(histories, outcome_from)
    alarms = _alarms(table, features, both, overlapping)
    if alarms:
        warnings.warn("leakage: " + "; ".join(alarms), UserWarning, stacklevel=2)
    return LeakageReport(table, features, both, overlapping, alarms, histories.index.nunique())


def telltale_columns(columns: pd.DataFrame, bad: NDArray[np.bool_]) -> list[str]:
    """Name the columns that are the target, or alone rank it at an AUC of 0.98.

    Parameters
    ----------
    columns : DataFrame of shape (n_rows, n_columns)
        Numbers and categories.
    bad : ndarray of shape (n_rows,)

    Returns
    -------
    list of str
        Each with its AUC, the best first.
    """
    alone = {str(name): _alone(column, bad) for name, column in columns.items()}
    found = sorted(((auc, name) for name, auc in alone.items() if auc >= TELLTALE), reverse=True)
    return [f"{name} ({auc:.3f})" for auc, name in found]


def _derive(model: ProxyTargetClassifier, histories: pd.DataFrame) -> tuple[Any, ...]:
    target = derive_target(
        histories, outcome=model.outcome, n_cutoffs=model.n_cutoffs, labeler=model.labeler
    )
    past = target.past.iloc[target.samples]
    opens = past["as_of"]
    if target.outcome is None:  # the labels look at all that the features see
        opens = opens.map(lambda _: pd.Timestamp(0))
    return model.classifier, past, target.y, opens


def _target(y: Any, histories: pd.DataFrame) -> NDArray[np.bool_]:
    if isinstance(y, pd.Series) and not y.index.equals(histories.index):
        n_only_y = int((~y.index.isin(histories.index)).sum())
        n_only_histories = int((~histories.index.isin(y.index)).sum())
        if n_only_y or n_only_histories or not y.index.is_unique:
            raise ValueError(
                f"y and histories must be of the same customers: {n_only_y:,} id(s) of y are not "
                f"in histories, {n_only_histories:,} of histories not in y, and "
                f"{int(y.index.duplicated().sum()):,} of y are repeated"
            )
        y = y.reindex(histories.index)
    bad = np.asarray(y)
    if bad.shape != (len(histories),):
        raise ValueError(
            f"y must have one label per row of histories, {len(histories):,}; got shape {bad.shape}"
        )
    classes = pd.unique(bad)
    if len(classes) < 2 or not np.isin(classes, (0, 1)).all():
        raise ValueError(f"y must hold both 0 and 1, 1 being bad; got {list(classes)[:5]}")
    return bad == 1


def _held_out_risk(
    model: Any, histories: pd.DataFrame, bad: NDArray[np.bool_], splits: list[tuple[Any, Any]]
) -> tuple[NDArray[np.intp], Floats]:
    """Return the rows that are held out in some split, and the risk of all rows there."""
    risk = np.full(len(histories), np.nan)
    method = "predict_proba" if hasattr(model, "predict_proba") else "decision_function"
    for train, test in splits:
        fitted = clone(model).fit(histories.iloc[train], bad[train].astype(np.int64))
        values = np.asarray(getattr(fitted, method)(histories.iloc[test]))
        risk[test] = values[:, 1] if values.ndim > 1 else values
    return np.flatnonzero(~np.isnan(risk)), risk


def _compare(
    scores: dict[str, Floats],
    bad: NDArray[np.bool_],
    customers: pd.Index,
    n_resamples: int,
    random_state: Any,
) -> pd.DataFrame:
    stacked = np.stack(list(scores.values()))
    aucs = bootstrap_auc(stacked, bad, customers, n_resamples, random_state)
    rows = {}
    for place, name in enumerate(scores):
        low, high = interval(aucs[1:, place])
        row = {"auc": aucs[0, place], "low": low, "high": high}
        if place:
            gain = aucs[:, 0] - aucs[:, place]
            row["gain"] = gain[0]
            row["gain_low"], row["gain_high"] = interval(gain[1:])
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _features_alone(
    model: Any, histories: pd.DataFrame, rfm: pd.DataFrame, bad: NDArray[np.bool_]
) -> pd.Series:
    first = clone(model[0]) if isinstance(model, Pipeline) else customer_features()
    features = first.fit_transform(histories)
    if not isinstance(features, pd.DataFrame):
        features = pd.DataFrame(features, columns=first.get_feature_names_out())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the label is degenerate")
        average_rank = ProxyLabeler(n_clusters=1).fit(rfm).decision_function(rfm)
    found = {str(name): _alone(features[name], bad) for name in features.columns}
    found["average rank of R, F, M"] = _alone(pd.Series(average_rank), bad)
    return pd.Series(found, name="auc").sort_values(ascending=False, kind="stable")


def _alone(column: pd.Series, bad: NDArray[np.bool_]) -> float:
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(np.float64, na_value=np.nan)
        ends = (-np.inf, np.inf) if np.isnan(values).any() else (0.0,)
        filled = [np.where(np.isnan(values), end, values) for end in ends]
        aucs = [auc(value, bad) for value in filled]
    else:
        levels = column.astype(object).where(column.notna(), "missing").astype(str).to_numpy()
        aucs = [auc(_cross_fitted_rate(levels, bad), bad)]
    return max(max(found, 1 - found) for found in aucs)


def _cross_fitted_rate(levels: NDArray[Any], bad: NDArray[np.bool_]) -> Floats:
    """Return the bad rate of each row's level among the other folds' rows."""
    rate = np.full(len(bad), bad.mean())
    n_folds = int(min(5, bad.sum(), (~bad).sum()))
    if n_folds < 2:
        return rate
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    for train, test in folds.split(levels, bad):
        by_level = pd.Series(bad[train]).groupby(levels[train]).mean()
        rate[test] = pd.Series(levels[test]).map(by_level).fillna(bad[train].mean())
    return rate


def _on_both_sides(histories: pd.DataFrame, splits: list[tuple[Any, Any]]) -> int:
    worst = 0
    as_of, customers = histories["as_of"], histories.index
    for train, test in splits:
        if as_of.iloc[train].max() < as_of.iloc[test].min():
            continue  # by time: the customer's own past may be known
        worst = max(worst, len(customers[train].unique().intersection(customers[test].unique())))
    return worst


def _overlap(histories: pd.DataFrame, outcome_from: Any) -> int:
    flat = flatten(histories)
    if isinstance(outcome_from, pd.Series | pd.Index | np.ndarray):
        opens = np.array([parse_timestamp(timestamp, "outcome_from") for timestamp in outcome_from])
        if len(opens) != len(histories):
            raise ValueError(
                f"outcome_from must be one timestamp, or one per row of histories, "
                f"{len(histories):,}; got {len(opens):,}"
            )
    else:
        opens = np.full(len(histories), parse_timestamp(outcome_from, "outcome_from"))
    return int(np.sum(flat.as_of > opens))


def _alarms(
    table: pd.DataFrame, features: pd.Series, both: int, overlapping: int | None
) -> list[str]:
    alarms = []
    telltale = features[features >= TELLTALE]
    if len(telltale):
        named = ", ".join(f"{name} ({found:.3f})" for name, found in telltale.head(10).items())
        more = f" and {len(telltale) - 10:,} more" if len(telltale) > 10 else ""
        alarms.append(f"alone, {named}{more} give the label")
    reached = float(table["auc"]["model"])
    if reached >= TELLTALE:
        alarms.append(
            f"the held-out model reaches an AUC of {reached:.3f}: it repeats a definition"
        )
    if overlapping:
        alarms.append(f"the features of {overlapping:,} rows look into the outcome window")
    if both:
        alarms.append(f"{both:,} customers are on both sides of a split: split by customer")
    return alarms
