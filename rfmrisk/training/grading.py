"""The grades of a training: found on out-of-fold scores, and judged on customers held out."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from rfmrisk.scorecard import Grades, Scorecard
from rfmrisk.scoring.metadata import MasterScale
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.scoring.probability import bounded_score
from rfmrisk.training.split import Task


def find_grades(
    grades: Any, estimator: Any, rows: pd.DataFrame, task: Task, scale: dict[str, float]
) -> MasterScale:
    """Return the grades of a model's score.

    Those that depend on scores are found on out-of-fold scores of the training customers, for
    those of the fitted model are too good on these. Their edges are whole, as scores are.

    Parameters
    ----------
    grades : Grades
        As `TrainingOptions` has them.
    estimator : classifier
        Unfitted, or to be fitted again in each fold.
    rows : DataFrame
        The training rows.
    task : Task
    scale : dict
        The ``base_score``, ``base_odds`` and ``pdo`` of the score.

    Returns
    -------
    MasterScale
    """
    edges = grades.edges
    if grades.method != "edges":
        asked = clone(grades).set_params(scale=grades.scale or scale)
        found = asked.fit(**_out_of_fold(estimator, rows, task, scale)).edges_
        edges = np.unique(np.ceil(found)).tolist()
        if not edges:
            warnings.warn(
                "no two grades of the score have different bad rates, so all customers are in one",
                stacklevel=3,
            )
    return MasterScale(**Grades("edges", edges=edges, names=grades.names).fit().to_dict())


def _out_of_fold(
    estimator: Any, rows: pd.DataFrame, task: Task, scale: dict[str, float]
) -> dict[str, np.ndarray]:
    """Return out-of-fold scores, and what `Grades.fit` asks for beside them."""
    judged, scores = [], []
    for fit, judge in task.folds.split():
        weights = task.weights(task.train_rows[fit])
        fitted = clone(estimator).fit(rows.iloc[fit], task.y_train[fit], **weights)
        probability = fitted.predict_proba(rows.iloc[judge])[:, 1]
        judged.append(judge)
        scores.append(np.rint(bounded_score(probability, **scale)))
    samples = task.train_rows[np.concatenate(judged)]
    return {"score": np.concatenate(scores), "y": task.y[samples], **task.weights(samples)}


def scale_of(model: Any, scale: dict[str, float]) -> dict[str, float]:
    """Return the scale of a model's score: a scorecard's own, or the one that others are given."""
    last = model[-1] if isinstance(model, Pipeline) else model
    return last.scale_ if isinstance(last, Scorecard) else scale


def grades_table(model: ScoringModel, task: Task) -> pd.DataFrame | None:
    """Lay out the grades of customers held out, expected against observed, with a test of each.

    Parameters
    ----------
    model : ScoringModel
    task : Task

    Returns
    -------
    DataFrame or None
        As `Grades.table`; None where the model has no grades.
    """
    if model.grades is None:
        return None
    scored = model.score(task.histories_of(task.test_rows), n_reasons=0)
    return model.grades.table(scored["score"], task.y[task.test_rows], scored["probability"])
