"""From a fitted classifier to a probability that depends on the customer alone, and a score."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from rfmrisk.scorecard.scale import probability_to_score

SUREST = 1e-6


def bad_probability(model: Any, table: pd.DataFrame) -> np.ndarray:
    """Return the probability of being bad, which depends on a customer's own row alone.

    Matrix libraries add the terms of a row in an order that depends on where it stands among the
    others, and so give it another last bit in another batch. The product of a sparse matrix adds
    them one after another.
    """
    last = model[-1] if isinstance(model, Pipeline) else model
    if isinstance(last, LogisticRegression) and len(last.classes_) == 2:
        behind = isinstance(model, Pipeline) and len(model) > 1
        encoded = model[:-1].transform(table) if behind else table
        log_odds = sparse.csr_array(encoded) @ last.coef_[0] + last.intercept_[0]
        return expit(log_odds)
    return model.predict_proba(table)[:, 1]


def bounded_score(probability: np.ndarray, **scale: float) -> np.ndarray:
    """Turn probabilities into scores, none surer than one in a million.

    A tree is certain of customers like those that it has seen, and 0 and 1 have no finite odds.
    """
    return probability_to_score(np.clip(probability, SUREST, 1 - SUREST), **scale)
