"""Check outcomes and probabilities, once for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rfmrisk.woe.binary_target import check_target

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


def check_outcomes(y: ArrayLike) -> NDArray[np.bool_]:
    """Return which rows are bad; unlike `check_target`, one class alone is welcome.

    Raises
    ------
    ValueError
        If y is not one column of 0 and 1 (or booleans), or is empty.
    """
    values = np.asarray(y)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"y must have one outcome a row, and rows; got shape {values.shape}")
    if values.dtype.kind not in "bif":
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"y must be 0 (good) and 1 (bad); got {values[:3].tolist()}") from None
    allowed = (values == 0) | (values == 1)
    if not allowed.all():
        raise ValueError(
            f"y must be 0 (good) and 1 (bad), with none missing; got {int((~allowed).sum())} "
            f"other value(s), such as {values[~allowed][0]}"
        )
    return values == 1


def check_probability(probability: ArrayLike, n_rows: int) -> Floats:
    """Return probabilities as floats.

    Raises
    ------
    ValueError
        If the length is wrong, or a probability is missing or outside 0 to 1.
    """
    values = check_score(probability, n_rows, "probability")
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"probability must lie between 0 and 1; got {values.min()} to {values.max()}"
        )
    return values


def check_score(score: ArrayLike, n_rows: int, name: str) -> Floats:
    """Return one finite number a row; higher is riskier."""
    values = np.asarray(score, dtype=np.float64)
    if values.shape != (n_rows,):
        raise ValueError(
            f"{name} must have one number a row, shape ({n_rows},), such as "
            f"predict_proba(X)[:, 1]; got shape {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has {int((~np.isfinite(values)).sum())} non-finite value(s)")
    return values


def check_both_classes(y: ArrayLike) -> NDArray[np.bool_]:
    """Return which rows are bad, where there are goods and bads."""
    return check_target(y, len(np.asarray(y)))
