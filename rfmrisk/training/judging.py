"""How good the models are on the held-out customers, and where the threshold lies."""

import warnings
from contextlib import suppress
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline

from rfmrisk.aggregation import RFMAggregator
from rfmrisk.histories.flat import flatten
from rfmrisk.metrics import WeightedReport, risk_report, segment_report
from rfmrisk.proxy.auc import bootstrap_auc, bootstrap_weights, interval
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.scorecard import Scorecard, cutoff_table
from rfmrisk.training.split import Task
from rfmrisk.training.weights import asking_for_weights

RECENCY = "recency alone"
RANK = "rfm_rank"
BASELINES = (RANK, RECENCY)
N_RESAMPLES = 1_000
N_RESAMPLES_OF_FIGURES = 200
N_THRESHOLDS = 1_000
N_CUTOFFS = 20
FIGURES = ("gini", "ks", "pr_auc", "brier", "log_loss", "accuracy", "precision", "recall", "f1")


def calibrated(
    estimator: Any, rows: pd.DataFrame, task: Task, method: str | None, n_jobs: int | None
) -> Any:
    """Fit a map from the estimator's out-of-fold answers to probabilities, and put it behind it."""
    if method is None:
        return estimator
    model = CalibratedClassifierCV(
        estimator, method=method, cv=task.folds, ensemble=False, n_jobs=n_jobs
    ).fit(rows, task.y_train, **task.weights_of_train)
    # The rows of these folds mean nothing to a later fit, and would bloat the saved model.
    return model.set_params(cv=task.folds.get_n_splits(), n_jobs=None)


def with_points(model: Any, rows: pd.DataFrame, task: Task) -> Any:
    """Return a calibrated scorecard as a scorecard whose points are issued again.

    Other models are returned as they are; so is a scorecard behind an isotonic calibration, which
    no points can follow.

    Parameters
    ----------
    model : classifier
        As `calibrated` returns it.
    rows : DataFrame
        The training rows.
    task : Task
    """
    if not isinstance(model, CalibratedClassifierCV) or model.method != "sigmoid":
        return model
    (fitted,) = model.calibrated_classifiers_
    steps = fitted.estimator
    if not isinstance(steps, Pipeline) or not isinstance(steps[-1], Scorecard):
        return model
    (sigmoid,) = fitted.calibrators
    if sigmoid.a_ >= 0:  # out of fold, a higher score was no safer
        return model
    table = steps[:-1].transform(rows) if len(steps) > 1 else rows
    weights = task.weights_of_train
    rate = float(np.average(task.y_train, weights=weights.get("sample_weight")))
    card = steps[-1].reissued(-sigmoid.b_, -sigmoid.a_, rate, table, **weights)
    return Pipeline([*steps.steps[:-1], (steps.steps[-1][0], card)])


def choose_threshold(
    estimator: Any,
    rows: pd.DataFrame,
    task: Task,
    *,
    missed_bad_cost: float | None,
    n_jobs: int | None,
) -> float:
    """Return the probability from which on customers are predicted bad.

    It is found on out-of-fold probabilities of the training customers
    (`sklearn.model_selection.TunedThresholdClassifierCV`). With a cost, it is that of the least
    total, where a refused good costs 1 and a missed bad ``missed_bad_cost``; without one, that
    which best separates bads from goods: where KS is reached. A model that gives all customers of a
    fold one probability has no such threshold; it is the share of bads then, with a warning.
    """
    if missed_bad_cost is None:
        scoring = make_scorer(_separation)
    else:
        scoring = make_scorer(_cost, greater_is_better=False, missed_bad_cost=missed_bad_cost)
    options = {"thresholds": N_THRESHOLDS, "cv": task.folds, "n_jobs": n_jobs}
    try:
        with asking_for_weights(estimator, scoring, task.weight) as (asking, scorer):
            tuned = TunedThresholdClassifierCV(
                asking, scoring=scorer, response_method="predict_proba", **options
            ).fit(rows, task.y_train, **task.weights_of_train)
    except ValueError as error:
        if "constant predictions" not in str(error):
            raise
        share = float(np.average(task.y_train, weights=task.weights_of_train.get("sample_weight")))
        warnings.warn(
            "the model gives all customers of a fold the same probability, so no threshold could "
            f"be searched; it is the share of bads, {share:.3f}",
            stacklevel=3,
        )
        return share
    return float(np.clip(tuned.best_threshold_, 0, 1))


def _separation(
    y: np.ndarray, predicted: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the share of bads that are predicted bad less that of goods: Youden's J."""
    predicted = predicted == 1
    if sample_weight is None:
        return float(np.mean(predicted[y == 1]) - np.mean(predicted[y == 0]))
    of_bads, of_goods = (
        np.average(predicted[y == k], weights=sample_weight[y == k]) for k in (1, 0)
    )
    return float(of_bads - of_goods)


def _cost(
    y: np.ndarray,
    predicted: np.ndarray,
    missed_bad_cost: float,
    sample_weight: np.ndarray | None = None,
) -> float:
    """Return the mean cost of a decision, where a refused good costs 1."""
    cost = np.where(y == 0, 1.0, missed_bad_cost) * (predicted != y)
    return float(np.average(cost, weights=sample_weight))


def baselines(task: Task, monetary: Literal["gross", "net"]) -> dict[str, np.ndarray]:
    """Return what any model has to beat, of each sample: higher is riskier.

    Parameters
    ----------
    task : Task
    monetary : {"gross", "net"}

    Returns
    -------
    dict of str to array of shape (n_samples,)
        ``rfm_rank``, the average rank of recency, frequency and monetary value among the training
        customers (`ProxyLabeler.decision_function`), and ``recency alone``. No history is the
        riskiest that a customer can be. Nothing where nobody has a history.
    """
    if not len(flatten(task.histories).times):
        return {}
    rfm = RFMAggregator(monetary=monetary).fit_transform(task.histories)
    trained_on = rfm.iloc[np.unique(task.rows[task.train_rows])]
    recency = rfm["recency"].to_numpy()
    furthest = np.nanmax(recency, initial=0) + 1
    found = {RECENCY: np.where(np.isnan(recency), furthest, recency)[task.rows]}
    with warnings.catch_warnings(), suppress(ValueError):
        # Only the rank is wanted, which needs no clusters; of equal customers there is none.
        warnings.filterwarnings("ignore", "the label is degenerate", UserWarning)
        found = {RANK: ProxyLabeler().fit(trained_on).decision_function(rfm)[task.rows]} | found
    return found


def held_out_metrics(
    probabilities: dict[str, np.ndarray],
    plain: dict[str, np.ndarray],
    task: Task,
    *,
    threshold: float,
    random_state: int,
) -> pd.DataFrame:
    """Return one row of figures per model and one for each of the baselines.

    The intervals, under names with ``_low`` and ``_high``, are the 2.5th and 97.5th percentiles
    over bootstrap samples of the held-out customers, the same samples for every model: many for
    the ROC-AUC and its gains, which decide, and fewer for the other figures.

    Parameters
    ----------
    probabilities : dict of str to array of shape (n_samples,)
        Of all samples of the task, by model.
    plain : dict of str to array of shape (n_samples,)
        The same of the `baselines`.
    task : Task
    threshold : float
        From which probability on the decisions of all models are counted as bad.
    random_state : int
    """
    test = task.test_rows
    y, weights = task.y[test], task.weights(test)
    weight = weights.get("sample_weight")
    rows: dict[str, Any] = {
        name: risk_report(y, p[test], threshold=threshold, **weights)
        | {
            "mean_probability": float(np.average(p[test], weights=weight)),
            "bad_share": float(np.average(y, weights=weight)),
        }
        for name, p in probabilities.items()
    }
    scores = np.array([score[test] for score in (probabilities | plain).values()])
    aucs = bootstrap_auc(scores, y == 1, task.customers[test], N_RESAMPLES, random_state, **weights)
    for name in plain:
        auc = aucs[0, len(rows)]
        rows[name] = {"roc_auc": auc, "gini": 2 * auc - 1}
    spread = _bootstrap_figures(probabilities, task, threshold, random_state)
    for place, (name, row) in enumerate(rows.items()):
        row.update(spread.get(name, {}))
        row["roc_auc_low"], row["roc_auc_high"] = interval(aucs[1:, place])
        if name in plain:
            continue
        for gain, baseline in (("gain_over_rank", RANK), ("gain", RECENCY)):
            if baseline in plain:
                gains = aucs[:, place] - aucs[:, list(rows).index(baseline)]
                row[gain] = gains[0]
                row[f"{gain}_low"], row[f"{gain}_high"] = interval(gains[1:])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def by_history(probability: np.ndarray, task: Task) -> pd.DataFrame | None:
    """Return how the best model does on held-out samples with no, a thin and a longer history.

    Parameters
    ----------
    probability : array of shape (n_samples,)
        Of all samples of the task.
    task : Task

    Returns
    -------
    DataFrame or None
        As `rfmrisk.metrics.segment_report`; thin is one or two transactions. None where nobody
        has a history.
    """
    flat = flatten(task.histories)
    if not len(flat.times):
        return None
    counts = pd.DataFrame({"n": flat.ends - flat.starts}, index=task.histories.index)
    lengths = task.sampled(counts)["n"].to_numpy()[task.test_rows]
    names = np.select(
        [lengths == 0, lengths <= 2], ["0 transactions", "1 or 2 transactions"], "3 or more"
    )
    test = task.test_rows
    return segment_report(task.y[test], probability[test], names, **task.weights(test))


def cutoffs_of(
    y: np.ndarray,
    score: np.ndarray,
    at_threshold: float,
    missed_bad_cost: float | None,
    sample_weight: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return what whole scores as cut-offs would accept, that of the threshold among them.

    Parameters
    ----------
    y : array of shape (n,)
        0 is good, 1 is bad.
    score : array of shape (n,)
    at_threshold : float
        The score from which on downwards customers are predicted bad.
    missed_bad_cost : float or None
        What an accepted bad costs, where an accepted good earns 1.
    sample_weight : array of shape (n,) or None, default=None
    """
    chosen = np.floor(at_threshold) + 1
    even = np.floor(np.quantile(score, np.arange(N_CUTOFFS) / N_CUTOFFS))
    table = cutoff_table(
        y,
        score,
        cutoffs=np.append(even, chosen).astype(int),
        profit_good=None if missed_bad_cost is None else 1.0,
        loss_bad=missed_bad_cost,
        sample_weight=sample_weight,
    )
    return table.assign(is_threshold=table.index == chosen)


def _bootstrap_figures(
    probabilities: dict[str, np.ndarray], task: Task, threshold: float, random_state: int
) -> dict[str, dict[str, float]]:
    """Return the ends of the interval of each figure but the ROC-AUC, for each model."""
    bad = task.y[task.test_rows] == 1
    customers = task.customers[task.test_rows]
    reports = {
        name: WeightedReport(bad, p[task.test_rows], threshold) for name, p in probabilities.items()
    }
    draws: dict[str, list[dict[str, float]]] = {name: [] for name in probabilities}
    own = task.weights(task.test_rows).get("sample_weight", np.ones(len(bad)))
    for times in bootstrap_weights(customers, N_RESAMPLES_OF_FIGURES, random_state):
        weight = own * times
        if len(np.unique(bad[weight > 0])) == 2:
            for name, report in reports.items():
                draws[name].append(report.figures(weight))
    spread: dict[str, dict[str, float]] = {name: {} for name in probabilities}
    for name, drawn in draws.items():
        for figure in FIGURES if drawn else ():
            ends = interval(np.array([figures[figure] for figures in drawn]))
            spread[name] |= dict(zip((f"{figure}_low", f"{figure}_high"), ends, strict=True))
    return spread
