"""Check the target and the weights, once for everything that compares goods with bads."""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import column_or_1d

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def check_target(y: ArrayLike, n_rows: int) -> NDArray[np.bool_]:
    """Return which rows are bad.

    Parameters
    ----------
    y : array-like of shape (n,)
        Two numbers or booleans; the greater is bad, so 0/1 as everywhere, or -1/1.
    n_rows : int
        Length that y must have; rows are matched by position, never by index.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    ValueError
        If y is missing, has another length, is not numeric, holds missing values, or has another
        number of classes than two.
    """
    return classes_of(y, n_rows)[1]


def classes_of(y: ArrayLike, n_rows: int) -> tuple[NDArray, NDArray[np.bool_]]:
    """Return the two classes, good first, and which rows are bad; see `check_target`."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    values = column_or_1d(y, warn=True)
    if len(values) != n_rows:
        raise ValueError(
            f"X and y have inconsistent numbers of samples: {n_rows} rows and {len(values)} labels."
        )
    missing = pd.isna(values)
    if missing.any():
        raise ValueError(f"Input y contains NaN: {int(missing.sum())} label(s) are missing.")
    classes = np.asarray(pd.unique(pd.Series(values)))
    if not all(isinstance(label, Number | np.bool_) for label in classes):
        raise ValueError(
            "Unknown label type: y must be 0 (good) and 1 (bad), or booleans; got "
            f"{_shown(classes)}."
        )
    if np.isinf(classes.astype(np.float64)).any():
        raise ValueError("Input y contains infinity; it must be 0 (good) and 1 (bad).")
    if len(classes) == 1:
        raise ValueError(
            f"y has one class only ({classes[0]}); goods and bads are both needed "
            f"(0 and 1; n_samples={n_rows})."
        )
    if len(classes) > 2 and (classes.astype(np.float64) % 1).any():
        raise ValueError(
            "Unknown label type: continuous; y must be 0 (good) and 1 (bad); got "
            f"{_shown(classes)}."
        )
    if len(classes) > 2:
        raise ValueError(
            "Only binary classification is supported: y must be 0 (good) and 1 (bad), or two "
            f"numbers of which the greater is bad; got {len(classes)} classes: {_shown(classes)}."
        )
    classes = np.sort(classes)
    return classes, np.asarray(values == classes[1], dtype=bool)


def _shown(classes: NDArray) -> str:
    return ", ".join(repr(c) for c in classes[:5].tolist()) + (", ..." if len(classes) > 5 else "")


def check_weight(sample_weight: ArrayLike | None, n_rows: int) -> NDArray[np.float64] | None:
    """Return the weights as floats, or None.

    Raises
    ------
    ValueError
        If a weight is negative, missing or infinite, all are zero, or the length is wrong.
    """
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.ndim == 0:
        weight = np.full(n_rows, float(weight))
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight a row; got {weight.shape}."
        )
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight contains NaN or infinity; weights must be finite.")
    if (weight < 0).any():
        raise ValueError(f"sample_weight has {int((weight < 0).sum())} negative weight(s).")
    if not weight.any():
        raise ValueError("sample_weight is zero everywhere; some rows must count.")
    return weight


def mean_weight(weight: NDArray[np.float64] | None) -> float:
    """Return the mean weight of the rows that count; 1 where rows have no weights.

    Whatever is added for want of rows is in this unit, so that weights may be in any.
    """
    return 1.0 if weight is None else float(weight[weight > 0].mean())
