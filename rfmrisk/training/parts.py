"""What a training checks before it begins, and how it divides the customers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from rfmrisk.histories import flatten
from rfmrisk.training.models import CATALOGUE, CatalogueModel


def check_parameters(
    *,
    models: Sequence[str] | Mapping[str, CatalogueModel],
    search: str,
    cv: int,
    test_size: float,
    class_weight: str | None,
    calibrate: str | None,
    missed_bad_cost: float | None,
) -> None:
    """Raise on a parameter of `train` that is not allowed."""
    if isinstance(models, Mapping):
        known = all(isinstance(model, CatalogueModel) for model in models.values())
    else:
        known = not isinstance(models, str) and all(name in CATALOGUE for name in models)
    if not known or not len(models):
        raise ValueError(
            f"models must be names of {list(CATALOGUE)}, or a dict of CatalogueModel; got "
            f"{models!r}"
        )
    if search not in ("grid", "random"):
        raise ValueError(f"search must be 'grid' or 'random'; got {search!r}")
    if not isinstance(cv, int) or cv < 2:
        raise ValueError(f"cv must be an integer of at least 2; got {cv!r}")
    if not 0 < test_size < 1:
        raise ValueError(f"test_size must be a share between 0 and 1; got {test_size!r}")
    if class_weight not in (None, "balanced"):
        raise ValueError(f"class_weight must be 'balanced' or None; got {class_weight!r}")
    if calibrate not in (None, "sigmoid", "isotonic"):
        raise ValueError(f"calibrate must be 'sigmoid', 'isotonic' or None; got {calibrate!r}")
    if missed_bad_cost is not None and not 0 < missed_bad_cost < np.inf:
        raise ValueError(
            "missed_bad_cost must be above 0, in units of the cost of a refused good; got "
            f"{missed_bad_cost!r}"
        )


def check_histories(histories: pd.DataFrame) -> None:
    """Raise on histories that no model can come from."""
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


def check_target(y: Any, n_rows: int, cv: int) -> np.ndarray:
    """Return the target as an array of 0 and 1, each often enough for the folds."""
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


def split(
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


def make_folds(
    histories: pd.DataFrame, y: np.ndarray, cv: int, random_state: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Fold the training rows, stratified, all rows of a customer in one fold."""
    if histories.index.is_unique:
        folds = StratifiedKFold(cv, shuffle=True, random_state=random_state)
        return folds.split(np.zeros(len(y)), y)
    grouped = StratifiedGroupKFold(cv, shuffle=True, random_state=random_state)
    return grouped.split(np.zeros(len(y)), y, groups=histories.index)
