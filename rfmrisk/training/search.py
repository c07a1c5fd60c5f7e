"""From histories to a tuned and evaluated model: target, split, search, held-out metrics."""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import clone
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
    train_test_split,
)
from sklearn.pipeline import Pipeline

from rfmrisk import __version__
from rfmrisk.aggregation import RFMAggregator, customer_features
from rfmrisk.histories import flatten
from rfmrisk.metrics import risk_report
from rfmrisk.proxy.target import ProxyTarget, derive_target
from rfmrisk.scoring import ScoringModel, typical_values
from rfmrisk.training.models import CATALOGUE, CatalogueModel

Watch = Callable[[str], AbstractContextManager]


@dataclass
class TrainingResult:
    """What a training leaves: the best model, how it was found, and how good it is.

    Attributes
    ----------
    model : ScoringModel
        The best pipeline from histories to a probability, fitted on the training customers,
        with all that scoring needs beside it.
    metrics : DataFrame
        One row per model on the held-out customers, best first, and last the one-column
        baseline: recency alone.
    candidates : DataFrame
        Every candidate of every search with its cross-validated score.
    customers : DataFrame
        Index ``customer``; ``as_of``, ``target``, ``part`` (train or test) and the probability
        by each model.
    features : DataFrame
        The customer feature table, in the order of ``customers``.
    target : ProxyTarget or None
        How the target was derived; None where it was given.
    run_id : str or None
        The MLflow run, where it was tracked.
    """

    model: ScoringModel
    metrics: pd.DataFrame
    candidates: pd.DataFrame
    customers: pd.DataFrame
    features: pd.DataFrame
    target: ProxyTarget | None
    fitted: dict[str, Pipeline] = field(default_factory=dict, repr=False)
    run_id: str | None = None

    def __repr__(self) -> str:
        auc = self.metrics["roc_auc"]
        return (
            f"TrainingResult(best={self.model.facts['model']!r}, "
            f"held-out ROC-AUC {auc.iloc[0]:.3f}, recency alone {auc['recency alone']:.3f}, "
            f"customers {len(self.customers):,}, high-risk {self.customers['target'].mean():.1%})"
        )


def train(
    histories: pd.DataFrame,
    y: Any = None,
    *,
    outcome: str | dt.timedelta | None = "30D",
    models: Sequence[str] = ("scorecard", "xgboost"),
    search: Literal["grid", "random"] = "grid",
    n_iter: int = 20,
    cv: int = 5,
    scoring: str = "roc_auc",
    features: Any = None,
    labeler: Any = None,
    test_size: float = 0.2,
    random_state: int = 42,
    n_jobs: int | None = None,
    watch: Watch | None = None,
    progress: bool = False,
) -> TrainingResult:
    """Tune models on some customers and judge them on others.

    The customer features are computed once; the searches run on the feature table, and the best
    pipeline is put together behind the fitted features. Features of a customer depend on that
    customer's history alone, so the result is the pipeline that a search from histories finds.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, 2)
        As made by `to_histories`. With ``y``, as known at the decisions that ``y`` judges.
    y : array-like of shape (n_customers,) or None, default=None
        1 is bad. None derives the proxy target from the outcome window.
    outcome : str, timedelta, "auto" or None, default="30D"
        Length of the outcome window; see `ProxyTargetClassifier`. None labels by the RFM of the
        very histories that the features see, which measures how well a model learns the
        definition of its label, and is there for comparison only.
    models : sequence of str, default=("scorecard", "xgboost")
        Names in `rfmrisk.training.CATALOGUE`.
    search : {"grid", "random"}, default="grid"
        GridSearchCV or RandomizedSearchCV.
    n_iter : int, default=20
        Candidates per model of a random search.
    cv : int, default=5
        Number of stratified folds; a customer who appears more than once stays in one.
    scoring : str, default="roc_auc"
        The score that chooses among candidates and models, as named by scikit-learn.
    features : transformer or None, default=None
        From histories to the feature table; None is `customer_features()`.
    labeler : estimator or None, default=None
        See `ProxyTargetClassifier`.
    test_size : float, default=0.2
        Share of customers held out.
    random_state : int, default=42
        Seeds the split, the folds, the random search and the models.
    n_jobs : int or None, default=None
        Processes of the search; the result does not depend on it.
    watch : callable or None, default=None
        Called with the name of each model, returns a context in which its search runs; this is
        how tracking listens in.
    progress : bool, default=False
        Show the progress of each search (scikit-learn's ProgressBar).

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError
        A parameter is unknown, there are too few customers, all amounts are zero, or the
        target has fewer cases of one class than folds.

    Examples
    --------
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.training import train
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> train(histories, models=["decision_tree"], cv=3)
    TrainingResult(best='decision_tree', held-out ROC-AUC ..., recency alone ..., ...)
    """
    _check_parameters(models, search, cv, test_size)
    _check_histories(histories)
    target = None
    if y is None:
        target = derive_target(histories, outcome=outcome, labeler=labeler)
        histories, y = target.past, target.y
    y = _check_target(y, len(histories), cv)

    extractor = clone(customer_features() if features is None else features)
    train_rows, test_rows = _split(histories, y, test_size, random_state)
    extractor.fit(histories.iloc[train_rows])
    table = extractor.transform(histories)
    folds = list(_folds(histories.iloc[train_rows], y[train_rows], cv, random_state))

    fitted: dict[str, Pipeline] = {}
    probabilities: dict[str, np.ndarray] = {}
    candidates = []
    for name in models:
        options = {"scoring": scoring, "cv": folds, "n_jobs": n_jobs, "error_score": "raise"}
        searcher = _searcher(CATALOGUE[name], search, n_iter, random_state, options)
        if progress:
            _show_progress(searcher)
        with watch(name) if watch else nullcontext():
            searcher.fit(table.iloc[train_rows], y[train_rows])
        fitted[name] = searcher.best_estimator_
        probabilities[name] = searcher.best_estimator_.predict_proba(table)[:, 1]
        candidates.append(_candidates(name, searcher))
    found = pd.concat(candidates, ignore_index=True)
    found = found.sort_values("mean_score", ascending=False, ignore_index=True)
    best = str(found["model"].iloc[0])

    threshold = _threshold(fitted[best], table.iloc[train_rows], y[train_rows], folds, n_jobs)
    rfm = RFMAggregator().fit_transform(histories)
    metrics = _held_out(probabilities, y, test_rows, rfm["recency"].to_numpy(), threshold)
    customers = pd.DataFrame({"as_of": histories["as_of"], "target": y}, index=histories.index)
    customers["part"] = np.where(np.isin(np.arange(len(y)), test_rows), "test", "train")
    customers = customers.assign(**{f"probability_{name}": p for name, p in probabilities.items()})

    facts = {
        "model": best,
        "title": CATALOGUE[best].title,
        "parameters": found["parameters"].iloc[0],
        "outcome": None if target is None else target.outcome,
        "target": "given" if target is None else "proxy",
        "threshold": threshold,
        "base_score": 600,
        "base_odds": 50,
        "pdo": 20,
        "high_risk_share": float(np.mean(y)),
        "n_train": len(train_rows),
        "n_test": len(test_rows),
        "features": list(map(str, table.columns)),
        "typical": typical_values(table.iloc[train_rows]),
        "random_state": random_state,
        "cv": cv,
        "scoring": scoring,
        "search": search,
        "versions": _versions(),
    }
    pipeline = Pipeline([("features", extractor), *fitted[best].steps])
    return TrainingResult(
        model=ScoringModel(pipeline, facts),
        metrics=metrics.loc[[best, *(name for name in metrics.index if name != best)]],
        candidates=found,
        customers=customers,
        features=table,
        target=target,
        fitted=fitted,
    )


def _check_parameters(models: Sequence[str], search: str, cv: int, test_size: float) -> None:
    unknown = [name for name in models if name not in CATALOGUE]
    if isinstance(models, str) or unknown or not len(models):
        raise ValueError(f"models must be names of {list(CATALOGUE)}; got {models!r}")
    if search not in ("grid", "random"):
        raise ValueError(f"search must be 'grid' or 'random'; got {search!r}")
    if not isinstance(cv, int) or cv < 2:
        raise ValueError(f"cv must be an integer of at least 2; got {cv!r}")
    if not 0 < test_size < 1:
        raise ValueError(f"test_size must be a share between 0 and 1; got {test_size!r}")


def _check_histories(histories: pd.DataFrame) -> None:
    flat = flatten(histories)
    if histories.index.nunique() < 10:
        raise ValueError(
            f"the log has {histories.index.nunique():,} customer(s); a model needs at least 10, "
            "and hundreds to mean something"
        )
    if not flat.numbers("amount").any():
        raise ValueError(
            f"all {len(flat.times):,} amounts are zero: is it the right column for the amount?"
        )


def _check_target(y: Any, n_rows: int, cv: int) -> np.ndarray:
    y = np.asarray(y)
    if y.shape != (n_rows,):
        raise ValueError(f"y must have one value for each of the {n_rows:,} rows; got {y.shape}")
    values, counts = np.unique(y, return_counts=True)
    if not set(values.tolist()) <= {0, 1}:
        raise ValueError(f"y must be 0 (good) or 1 (bad); got the values {values[:5].tolist()}")
    # Four fifths of the rarer class are in the training part, and each fold needs some.
    if len(values) < 2 or counts.min() < 2 * cv:
        got = dict(zip(values.tolist(), counts.tolist(), strict=True))
        raise ValueError(
            f"each class needs at least {2 * cv} customers for {cv} folds; got {got}. Use a "
            "longer log, fewer folds, or another outcome window"
        )
    return y.astype(np.int64)


def _split(
    histories: pd.DataFrame, y: np.ndarray, test_size: float, random_state: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into train and test, stratified, all rows of a customer on one side."""
    rows = np.arange(len(y))
    if histories.index.is_unique:
        train_rows, test_rows = train_test_split(
            rows, test_size=test_size, stratify=y, random_state=random_state
        )
        return np.sort(train_rows), np.sort(test_rows)
    folds = StratifiedGroupKFold(round(1 / test_size), shuffle=True, random_state=random_state)
    return next(folds.split(rows, y, groups=histories.index))


def _folds(
    histories: pd.DataFrame, y: np.ndarray, cv: int, random_state: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if histories.index.is_unique:
        folds = StratifiedKFold(cv, shuffle=True, random_state=random_state)
        return folds.split(np.zeros(len(y)), y)
    grouped = StratifiedGroupKFold(cv, shuffle=True, random_state=random_state)
    return grouped.split(np.zeros(len(y)), y, groups=histories.index)


def _searcher(
    model: CatalogueModel, search: str, n_iter: int, random_state: int, options: dict[str, Any]
) -> GridSearchCV | RandomizedSearchCV:
    estimator = model.make(random_state)
    if search == "grid":
        return GridSearchCV(estimator, model.grid, **options)
    return RandomizedSearchCV(
        estimator, model.distributions, n_iter=n_iter, random_state=random_state, **options
    )


def _show_progress(searcher: Any) -> None:
    from sklearn.callback import ProgressBar

    searcher.set_callbacks(ProgressBar(max_propagation_depth=0))


def _candidates(name: str, searcher: Any) -> pd.DataFrame:
    results = searcher.cv_results_
    return pd.DataFrame(
        {
            "model": name,
            "mean_score": results["mean_test_score"],
            "std_score": results["std_test_score"],
            "fit_seconds": results["mean_fit_time"],
            "parameters": [json.dumps(params, default=float) for params in results["params"]],
        }
    )


def _threshold(
    estimator: Pipeline, table: pd.DataFrame, y: np.ndarray, folds: list, n_jobs: int | None
) -> float:
    """Return the probability that best tells bads from goods: where KS is reached.

    On out-of-fold probabilities of the training customers, so that the held-out ones have no
    say in it.
    """
    p = cross_val_predict(
        clone(estimator), table, y, cv=folds, method="predict_proba", n_jobs=n_jobs
    )[:, 1]
    false_positive, true_positive, thresholds = roc_curve(y, p)
    return float(np.clip(thresholds[np.argmax(true_positive - false_positive)], 0, 1))


def _held_out(
    probabilities: dict[str, np.ndarray],
    y: np.ndarray,
    test_rows: np.ndarray,
    recency: np.ndarray,
    threshold: float,
) -> pd.DataFrame:
    rows: dict[str, Any] = {
        name: risk_report(y[test_rows], p[test_rows], threshold=threshold)
        for name, p in probabilities.items()
    }
    # No recency is no history, the furthest that a customer can be.
    recency = np.where(np.isnan(recency), np.inf, recency)[test_rows]
    furthest = recency[np.isfinite(recency)].max(initial=0) + 1
    auc = roc_auc_score(y[test_rows], np.minimum(recency, furthest))
    rows["recency alone"] = {"roc_auc": auc, "gini": 2 * auc - 1}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _versions() -> dict[str, str]:
    return {
        "rfmrisk": __version__,
        "scikit-learn": sklearn.__version__,
        "pandas": pd.__version__,
        "numpy": np.__version__,
    }
