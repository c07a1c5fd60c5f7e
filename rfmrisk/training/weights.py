"""Weights of the rows: checked once, and given to every fit of a training."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import has_fit_parameter

from rfmrisk.histories.matching import check_matched
from rfmrisk.woe.binary_target import check_weight


def relative_weights(sample_weight: Any, known: np.ndarray, index: pd.Index) -> np.ndarray | None:
    """Return the weights of rows whose outcomes are known, in units of their mean.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,)
    known : array of bool of shape (n_rows,)
    index : Index of length n_rows
        Of the histories.

    Returns
    -------
    array or None
        None where all are equal: that is no weighting.

    Raises
    ------
    ValueError
        There are not as many, one is not a finite number above 0, or they have another index.
    """
    check_matched(sample_weight, index, "sample_weight")
    weight = np.asarray(check_weight(sample_weight, len(known)), dtype=np.float64)
    if not weight.all():
        raise ValueError(
            "sample_weight must be above 0: leave out rows that are not to count; "
            f"{int((weight == 0).sum()):,} of {len(weight):,} are 0"
        )
    weight = weight[known]
    return None if (weight == weight[0]).all() else weight / weight.mean()


class WeightedPipeline(Pipeline):
    """A pipeline that gives the weights of the rows to each of its steps that takes some.

    scikit-learn's own takes the weights of a step under the step's name, which differs from one
    pipeline to another.
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the steps.

        Raises
        ------
        ValueError
            No step takes weights.
        """
        taking = [name for name, step in self.steps if has_fit_parameter(step, "sample_weight")]
        if sample_weight is not None and not taking:
            raise ValueError(f"no step of {[name for name, _ in self.steps]} takes sample_weight")
        weights = {} if sample_weight is None else dict.fromkeys(taking, sample_weight)
        with config_context(enable_metadata_routing=False):
            return super().fit(X, y, **{f"{name}__sample_weight": w for name, w in weights.items()})

    def get_metadata_routing(self) -> MetadataRequest:
        """Ask for weights, for itself."""
        request = MetadataRequest(owner=self)
        request.fit.add_request(param="sample_weight", alias=True)
        return request


def without_weights(model: Any) -> Any:
    """Return a fitted model whose pipelines are scikit-learn's own, as a file holds them."""
    if isinstance(model, WeightedPipeline):
        return Pipeline(model.steps, memory=model.memory)
    if not isinstance(model, CalibratedClassifierCV):
        return model
    plain = copy(model)
    plain.estimator = without_weights(model.estimator)
    plain.calibrated_classifiers_ = [copy(each) for each in model.calibrated_classifiers_]
    for each in plain.calibrated_classifiers_:
        each.estimator = without_weights(each.estimator)
    return plain


@contextmanager
def asking_for_weights(
    estimator: Any, scorer: Any, weight: np.ndarray | None
) -> Iterator[tuple[Any, Any]]:
    """Have an estimator and a scorer ask scikit-learn for the weights, where there are some."""
    if weight is None:
        yield estimator, scorer
        return
    with config_context(enable_metadata_routing=True):
        if not isinstance(estimator, WeightedPipeline):
            estimator = clone(estimator).set_fit_request(sample_weight=True)
        yield estimator, scorer.set_score_request(sample_weight=True)
