"""The figures of a training beside those of its models: of the label, the features, the examples.

All are computed here, once, and are attributes of the result; a folder and a report show them.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from rfmrisk.metrics import stability_report
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.proxy.leakage import LeakageReport, leakage_report
from rfmrisk.proxy.stability import LabelStability, label_stability
from rfmrisk.proxy.target import ProxyTarget
from rfmrisk.scorecard import Scorecard
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.training.split import Task
from rfmrisk.woe import WOEEncoder

N_RESAMPLES = 20
N_TOP = 6


@dataclass(frozen=True)
class LabelFigures:
    """What a proxy label is, whether it holds, and whether it leaks.

    Attributes
    ----------
    stability : LabelStability
    leakage : LeakageReport
    rfm : DataFrame
        The RFM of all customers over the first outcome window, with ``cluster`` and
        ``is_high_risk`` where the labeler gives them.
    clusters : DataFrame or None
        Size and typical customer of each cluster; None where another labeler has no clusters.
    """

    stability: LabelStability
    leakage: LeakageReport
    rfm: pd.DataFrame
    clusters: pd.DataFrame | None

    @property
    def metadata(self) -> dict[str, Any]:
        """What a model keeps of it."""
        return {
            "label_stability": self.stability.verdict,
            "label_stable": self.stability.is_stable,
            "leakage": self.leakage.verdict,
            "leaks": bool(self.leakage.alarms),
            "label_by_clusters": self.clusters is not None,
        }


@dataclass(frozen=True)
class FeatureFigures:
    """What each feature says alone, on the training customers.

    Attributes
    ----------
    information_value : Series
        Of each feature, the largest first.
    bins : DataFrame
        The binning tables of the first few, one below the other.
    separating : list of str
        Features that separate goods from bads without an error: a leak until shown otherwise.
    """

    information_value: pd.Series
    bins: pd.DataFrame
    separating: list[str]

    @property
    def top(self) -> list[Any]:
        """The features of ``bins``."""
        return list(self.information_value.index[:N_TOP])


def label_figures(target: ProxyTarget, histories: pd.DataFrame, pipeline: Pipeline) -> LabelFigures:
    """Fit the label again on other data, and the model on parts of the customers.

    Parameters
    ----------
    target : ProxyTarget
    histories : DataFrame
        Those that the target was derived from.
    pipeline : Pipeline
        From histories to a probability; it is refitted.
    """
    aggregator, labeler = target.labeler[:-1], target.labeler[-1]
    with warnings.catch_warnings():
        # The training has said that the label is degenerate, and the report says in red what
        # the warning of a leak says.
        warnings.filterwarnings("ignore", "the label is degenerate|leakage", UserWarning)
        stability = label_stability(target.labeler, histories, n_resamples=N_RESAMPLES)
        # A leak is found in one window as well as in all.
        past = target.past.iloc[: target.windows[0].n_customers]
        leakage = leakage_report(
            pipeline,
            past,
            target.y[: len(past)],
            outcome_from=past["as_of"] if target.outcome else None,
        )
    rfm = aggregator.transform(histories) if len(aggregator) else histories
    if hasattr(labeler, "transform"):
        rfm = labeler.transform(rfm)
    clusters = labeler.cluster_profile() if isinstance(labeler, ProxyLabeler) else None
    return LabelFigures(stability, leakage, rfm, clusters)


def feature_figures(table: pd.DataFrame, task: Task) -> FeatureFigures:
    """Bin each feature of the training customers by the default encoder."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="each bin of", category=UserWarning)
        # Without their periods: these are figures of each feature, and no bins of the card.
        rows = table.iloc[task.train_rows]
        encoder = WOEEncoder().fit(rows, task.y_train, **task.weights_of_train)
    values = pd.Series(
        encoder.information_value_,
        index=table.columns.rename("feature"),
        name="information_value",
    ).sort_values(ascending=False, kind="stable")
    bins = {name: encoder.binning_table(name) for name in values.index[:N_TOP]}
    return FeatureFigures(
        values, pd.concat(bins, names=["feature"]), list(map(str, encoder.separating_))
    )


def drift(
    table: pd.DataFrame, probability: np.ndarray, task: Task, *, last: np.ndarray | None
) -> pd.DataFrame:
    """Compare score and features over time, or of held-out customers with the others.

    Parameters
    ----------
    table : DataFrame of shape (n_samples, n_features)
    probability : array of shape (n_samples,)
        By the model. In time the customers are the held-out ones alone: those that it has learned
        from would seem to move where only its answers to them are better.
    task : Task
    last : array of bool of shape (n_samples,) or None
        The last decisions; None compares the held-out customers with those of the training.

    Returns
    -------
    DataFrame
        As `rfmrisk.metrics.stability_report`.
    """
    columns = pd.DataFrame({"probability of the model": probability}, index=table.index)
    columns = pd.concat([columns, table], axis=1)
    before, after = task.train_rows, task.test_rows
    if last is not None:
        is_last = last[task.test_rows]
        before, after = task.test_rows[~is_last], task.test_rows[is_last]
    return stability_report(columns.iloc[before], columns.iloc[after])


def examples(model: ScoringModel, task: Task, samples: pd.DataFrame) -> pd.DataFrame:
    """Score three held-out customers: the riskiest, the one nearest the threshold, the safest.

    Parameters
    ----------
    model : ScoringModel
    task : Task
    samples : DataFrame of shape (n_samples, n_columns)
        The samples, with ``part``, ``target`` and the probability by the model.
    """
    rows = np.flatnonzero(samples["part"] == "test")
    p = samples[f"probability_{model.metadata.model}"].to_numpy()[rows]
    nearest = np.argmin(np.abs(p - model.metadata.threshold))
    chosen = rows[[np.argmax(p), nearest, np.argmin(p)]]
    scores = model.score(task.histories_of(chosen))
    scores.insert(0, "example", ["riskiest", "nearest the threshold", "safest"])
    scores["target"] = samples["target"].to_numpy()[chosen]
    return scores


def classing_of(fitted: Mapping[str, Pipeline]) -> dict[str, dict[str, Any]] | None:
    """Return the bins of the scorecard, where one was trained."""
    if "scorecard" not in fitted or not isinstance(fitted["scorecard"][-1], Scorecard):
        return None
    classing: dict[str, dict[str, Any]] = fitted["scorecard"][-1].encoder_.classing()
    return classing


def lost_of(fitted: Mapping[str, Pipeline]) -> pd.DataFrame | None:
    """Return the features that have one bin in the scorecard, and so no points, each with why.

    Parameters
    ----------
    fitted : mapping of str to Pipeline

    Returns
    -------
    DataFrame or None
        Indexed by ``feature``: ``finding``, as `WOEEncoder.summary` has it, and ``is_strong``,
        where small groups differ in risk and smaller bins would keep the feature. None without a
        scorecard.
    """
    if "scorecard" not in fitted or not isinstance(fitted["scorecard"][-1], Scorecard):
        return None
    findings = fitted["scorecard"][-1].encoder_.summary()["finding"]
    found = findings[findings != ""].to_frame()
    # The finding of such a feature alone names the parameter that would keep it.
    return found.assign(is_strong=found["finding"].str.contains("min_bin_size", regex=False))


def points_of(fitted: Mapping[str, Pipeline]) -> pd.DataFrame | None:
    """Return the points of the scorecard, where one was trained."""
    return fitted["scorecard"][-1].points_table() if "scorecard" in fitted else None
