"""What a training checks before it begins, and how it divides the customers."""

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from rfmrisk import __version__
from rfmrisk.histories.flat import flatten
from rfmrisk.histories.matching import check_matched
from rfmrisk.histories.timestamps import iso
from rfmrisk.scoring.metadata import DataSummary
from rfmrisk.training.catalogue import CATALOGUE, CatalogueModel

_PACKAGES = ("scikit-learn", "pandas", "numpy", "scipy", "pyarrow", "skops")


SCORINGS = (
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "f1",
    "matthews_corrcoef",
    "neg_brier_score",
    "neg_log_loss",
    "precision",
    "recall",
    "roc_auc",
)
"""scikit-learn's scores of a classifier of two classes; all are better when greater."""


class Folds:
    """The folds of the training customers, the same for all that cross-validates.

    Parameters
    ----------
    places : list of (ndarray, ndarray)
        Rows to fit on and rows to judge, of each fold.
    kind : str
        How they came about.
    """

    def __init__(self, places: list[tuple[np.ndarray, np.ndarray]], kind: str) -> None:
        self.places = places
        self.kind = kind

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Yield the folds, as scikit-learn's splitters do."""
        return iter(self.places)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return how many folds there are."""
        return len(self.places)

    def __repr__(self) -> str:
        return self.kind


def check_parameters(
    *,
    models: Sequence[str] | Mapping[str, CatalogueModel],
    search: str,
    n_iter: int,
    cv: int,
    scoring: str,
    class_weight: str | None,
    calibrate: str | None,
    missed_bad_cost: float | None,
    test_size: float,
    random_state: int,
    n_jobs: int | None,
) -> None:
    """Raise on a parameter of `train` that is not allowed."""
    _check_models(models)
    for name, value, allowed in (
        ("search", search, ("grid", "random")),
        ("scoring", scoring, SCORINGS),
        ("class_weight", class_weight, ("balanced", None)),
        ("calibrate", calibrate, ("sigmoid", "isotonic", None)),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {list(allowed)}; got {value!r}")
    for name, number, lowest in (
        ("cv", cv, 2),
        ("n_iter", n_iter, 1),
        ("random_state", random_state, 0),
    ):
        if not _is_whole(number) or number < lowest:
            raise ValueError(f"{name} must be an integer of at least {lowest}; got {number!r}")
    if n_jobs is not None and (not _is_whole(n_jobs) or n_jobs == 0):
        raise ValueError(f"n_jobs must be a number of processes, -1 for all; got {n_jobs!r}")
    if not _is_number(test_size) or not 0 < test_size < 1:
        raise ValueError(f"test_size must be a share between 0 and 1; got {test_size!r}")
    if missed_bad_cost is not None and not (
        _is_number(missed_bad_cost) and 0 < missed_bad_cost < np.inf
    ):
        raise ValueError(
            "missed_bad_cost must be above 0, in units of the cost of a refused good; got "
            f"{missed_bad_cost!r}"
        )


def _check_models(models: Any) -> None:
    if isinstance(models, Mapping):
        known = all(isinstance(model, CatalogueModel) for model in models.values())
    else:
        known = isinstance(models, Sequence) and not isinstance(models, str)
        known = known and all(name in CATALOGUE for name in models)
    if known and len(models):
        return
    missing = "" if "lightgbm" in CATALOGUE else " (and lightgbm, where it is installed)"
    raise ValueError(
        f"models must be names of {list(CATALOGUE)}{missing}, or a dict of CatalogueModel; "
        f"got {models!r}"
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float | np.floating)


def check_features(features: Any) -> None:
    """Raise on features that are no transformer."""
    if not all(hasattr(features, name) for name in ("fit", "transform", "get_params")):
        raise ValueError(
            "features must be a transformer from histories to a table, such as "
            f"customer_features(); got {features!r}"
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


def check_target(y: Any, index: pd.Index, cv: int) -> np.ndarray:
    """Return the target as an array of 0 and 1, each often enough for the folds."""
    check_matched(y, index)
    n_rows, y = len(index), np.asarray(y)
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


@dataclass(frozen=True)
class Task:
    """What there is to learn from: the samples, their target, and how customers are divided.

    Attributes
    ----------
    histories : DataFrame of shape (n_histories, n_columns)
        One row per customer and moment at which it is looked at.
    y : ndarray of shape (n_samples,)
    train_rows, test_rows : ndarray
        Positions of the samples of either part.
    folds : Folds
        Of the training part, by positions in it.
    samples : ndarray of shape (n_samples,) or None
        Which row of the histories each sample is of; None where each is a sample of its own.
    """

    histories: pd.DataFrame
    y: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    folds: Folds
    samples: np.ndarray | None = None

    @classmethod
    def divided(
        cls,
        histories: pd.DataFrame,
        y: np.ndarray,
        samples: np.ndarray | None = None,
        *,
        cv: int,
        test_size: float,
        random_state: int,
    ) -> "Task":
        """Hold customers out and fold the others, stratified, each customer on one side."""
        sampled = histories[["as_of"]] if samples is None else histories[["as_of"]].iloc[samples]
        train_rows, test_rows = split(sampled, y, test_size, random_state)
        folds = make_folds(sampled.iloc[train_rows], y[train_rows], cv, random_state)
        return cls(histories, y, train_rows, test_rows, folds, samples)

    @property
    def customers(self) -> pd.Index:
        """The customer of each sample."""
        return self.sampled(self.histories[["as_of"]]).index

    def sampled(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the row of each sample of a table with a row per history."""
        return table if self.samples is None else table.iloc[self.samples]

    @property
    def y_train(self) -> np.ndarray:
        """The target of the training samples."""
        return self.y[self.train_rows]

    @property
    def histories_of_train(self) -> pd.DataFrame:
        """The histories of the training samples, each once."""
        if self.samples is None:
            return self.histories.iloc[self.train_rows]
        return self.histories.iloc[np.unique(self.samples[self.train_rows])]

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the training samples' rows of a table."""
        return table.iloc[self.train_rows]


def describe(histories: pd.DataFrame) -> DataSummary:
    """Describe histories, with a fingerprint of customers, moments, times and amounts."""
    flat = flatten(histories)
    digest = hashlib.sha256()
    for values in (flat.as_of, flat.ends - flat.starts, flat.times, flat.numbers("amount")):
        digest.update(np.ascontiguousarray(values).tobytes())
    digest.update("\0".join(map(str, histories.index)).encode())
    return DataSummary(
        name="histories",
        fingerprint=digest.hexdigest(),
        customers=int(histories.index.nunique()),
        transactions=len(flat.times),
        first=iso(flat.times.min()),
        last=iso(flat.times.max()),
        first_as_of=iso(flat.as_of.min()),
        last_as_of=iso(flat.as_of.max()),
    )


def package_versions(pipeline: Any) -> dict[str, str]:
    """Return the versions of Python and of the packages that a fitted pipeline needs.

    They follow from the modules of all objects within it, whatever a model is called.
    """
    modules: set[str] = set()
    _add_modules(pipeline, modules, set())
    known = packages_distributions()
    others = {name for module in modules for name in known.get(module, ())}
    found = {
        name: version(name) for name in [*_PACKAGES, *sorted(others - {*_PACKAGES, "rfmrisk"})]
    }
    return {"python": platform.python_version(), "rfmrisk": __version__, **found}


def _add_modules(value: Any, modules: set[str], seen: set[int]) -> None:
    """Add the root module of an object's type, and of all that its attributes hold."""
    if id(value) in seen or isinstance(value, str | bytes | int | float | np.ndarray | None):
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        inner = list(value.values())
    elif isinstance(value, list | tuple | set):
        inner = list(value)
    else:
        modules.add(type(value).__module__.partition(".")[0])
        inner = list(getattr(value, "__dict__", {}).values()) if _is_estimator(value) else []
    for each in inner:
        _add_modules(each, modules, seen)


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") or type(value).__module__.startswith("sklearn.")


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


def make_folds(histories: pd.DataFrame, y: np.ndarray, cv: int, random_state: int) -> Folds:
    """Fold the training rows, stratified, all rows of a customer in one fold."""
    unique = histories.index.is_unique
    kind = StratifiedKFold if unique else StratifiedGroupKFold
    folds = kind(cv, shuffle=True, random_state=random_state)
    groups = None if unique else histories.index
    return Folds(list(folds.split(np.zeros(len(y)), y, groups)), repr(folds))
