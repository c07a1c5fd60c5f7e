"""A few outcomes: the chosen model updates a proxy, which needs none."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from rfmrisk.proxy.classifier import ProxyTargetClassifier
from rfmrisk.proxy.updating import OutcomeUpdatedClassifier
from rfmrisk.proxy.worth import OutcomeCurve, outcome_curve
from rfmrisk.training.split import Task
from rfmrisk.training.training_options import TrainingOptions

UPDATED, PROXY = "updated", "proxy"
MANY_BADS = 200
N_DRAWS = 5


@dataclass(frozen=True)
class Updating:
    """A proxy and the supervised model that updates it.

    Attributes
    ----------
    unfitted : OutcomeUpdatedClassifier
        With the proxy fitted inside: what is cross-validated.
    model : OutcomeUpdatedClassifier
        Fitted to the outcomes of the training customers.
    curve : OutcomeCurve or None
        What the proxy is worth in outcomes; None where too few are known to draw from.
    """

    unfitted: OutcomeUpdatedClassifier
    model: OutcomeUpdatedClassifier
    curve: OutcomeCurve | None

    def probabilities(self, histories: pd.DataFrame) -> dict[str, np.ndarray]:
        """Return the probability of being bad by the updated model and by the proxy alone."""
        models = {UPDATED: self.model, PROXY: self.model.proxy_}
        return {name: model.predict_proba(histories)[:, 1] for name, model in models.items()}


def is_wanted(options: TrainingOptions, outcomes: np.ndarray, *, weighted: bool = False) -> bool:
    """Whether outcomes update a proxy: if asked for, or some are unknown, or few are bad.

    Where outcomes are weighted they do not: the proxy's own samples have no weights.
    """
    if weighted and options.proxy:
        raise ValueError(
            "proxy=True takes no sample_weight: it is made of samples that have no weights. Leave "
            "out either"
        )
    if options.proxy is not None or weighted:
        return bool(options.proxy)
    return bool(np.isnan(outcomes).any() or np.nansum(outcomes) < MANY_BADS)


def update_proxy(
    histories: pd.DataFrame, task: Task, pipeline: Pipeline, options: TrainingOptions
) -> Updating | None:
    """Fit a proxy to all who are not held out, and update it by the outcomes that are known.

    Parameters
    ----------
    histories : DataFrame of shape (n_decisions, n_columns)
        Of all decisions, those without an outcome among them.
    task : Task
        Of the decisions with an outcome.
    pipeline : Pipeline
        From histories to a probability; the same steps learn the proxy target and the outcomes.
    options : TrainingOptions

    Returns
    -------
    Updating or None
        None where no proxy can be made of these histories, with a warning.
    """
    held_out = histories.index.isin(task.customers[task.test_rows].unique())
    proxy: Any = ProxyTargetClassifier(
        clone(pipeline),
        labeler=options.labeler,
        outcome=options.outcome,
        n_cutoffs=options.n_cutoffs,
    )
    known = task.of(task.histories)
    try:
        proxy.fit(histories[~held_out])
        unfitted = OutcomeUpdatedClassifier(FrozenEstimator(proxy), clone(pipeline))
        model = clone(unfitted).fit(known, task.y_train)
    except ValueError as error:
        warnings.warn(f"the outcomes update no proxy: {error}", UserWarning, stacklevel=3)
        return None
    model.proxy_ = proxy
    try:
        curve = outcome_curve(
            FrozenEstimator(proxy), clone(pipeline), known, task.y_train, n_draws=N_DRAWS
        )
    except ValueError as error:
        warnings.warn(f"what the proxy is worth is not known: {error}", UserWarning, stacklevel=3)
        curve = None
    return Updating(unfitted, model, curve)
