"""What a training checks before it begins, and how it divides the customers."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import packages_distributions, version
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from rfmrisk import __version__
from rfmrisk.histories.flat import flatten
from rfmrisk.histories.matching import check_matched
from rfmrisk.histories.timestamps import iso
from rfmrisk.scoring.metadata import DataSummary
from rfmrisk.training.folds import Folds, make_folds
from rfmrisk.woe.over_time import PERIOD

_PACKAGES = ("scikit-learn", "pandas", "numpy", "scipy", "pyarrow", "skops")


def check_histories(histories: pd.DataFrame) -> None:
    """Raise on histories that no model can come from."""
    flat = flatten(histories)
    if histories.index.nunique() < 10:
        raise ValueError(
            f"the log has {histories.index.nunique():,} customer(s); a model needs at least 10, "
            "and hundreds to mean something"
        )
    if len(flat.times) and not flat.numbers("amount").any():
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
        One row per customer and timestamp at which it is looked at.
    y : ndarray of shape (n_samples,)
    train_rows, test_rows : ndarray
        Positions of the samples of either part.
    folds : Folds
        Of the training part, by positions in it.
    samples : ndarray of shape (n_samples,) or None
        Which row of the histories each sample is of; None where each is a sample of its own.
    weight : ndarray of shape (n_samples,) or None
        What each sample counts, in units of the mean; None where all count alike.
    period : Index of length n_samples, or None
        The period of each sample, where bins are to keep their order in each.
    """

    histories: pd.DataFrame
    y: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    folds: Folds
    samples: np.ndarray | None = None
    weight: np.ndarray | None = None
    period: pd.Index | None = None

    @classmethod
    def divided(
        cls,
        histories: pd.DataFrame,
        y: np.ndarray,
        samples: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        *,
        cv: int | Folds,
        test_size: float,
        random_state: int,
    ) -> "Task":
        """Hold customers out and fold the others, stratified, each customer on one side.

        Folds that are given are of all samples, and are cut down to those of the training part.
        """
        sampled = histories[["as_of"]] if samples is None else histories[["as_of"]].iloc[samples]
        train_rows, test_rows = split(sampled, y, test_size, random_state)
        if isinstance(cv, Folds):
            folds = cv.within(train_rows).check_classes(y[train_rows])
        else:
            folds = make_folds(sampled.iloc[train_rows], y[train_rows], cv, random_state)
        return cls(histories, y, train_rows, test_rows, folds, samples, weight)

    @cached_property
    def rows(self) -> np.ndarray:
        """Which row of the histories each sample is of."""
        return np.arange(len(self.y)) if self.samples is None else self.samples

    @cached_property
    def customers(self) -> pd.Index:
        """The customer of each sample."""
        return self.histories.index[self.rows]

    def sampled(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the row of each sample of a table with a row per history."""
        return table if self.samples is None else table.iloc[self.samples]

    def histories_of(self, samples: np.ndarray) -> pd.DataFrame:
        """Return the histories of some samples, by their positions."""
        return self.histories.iloc[self.rows[samples]]

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

    def weights(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the weights of samples, where there are some, as a keyword of fits and figures."""
        return {} if self.weight is None else {"sample_weight": self.weight[rows]}

    @property
    def weights_of_train(self) -> dict[str, np.ndarray]:
        """The same of the training samples."""
        return self.weights(self.train_rows)

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the training samples' rows of a table."""
        return self.at(table, self.train_rows)

    def at(self, table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
        """Return rows of a table to fit on, by their periods where these matter."""
        found = table.iloc[rows]
        return found if self.period is None else found.set_axis(self.period[rows])

    def over_time(self) -> "Task":
        """Return the same with the quarter of each sample, or its month where all are of one.

        Raises
        ------
        ValueError
            All samples are of one month.
        """
        as_of = self.sampled(self.histories[["as_of"]])["as_of"]
        for frequency in ("Q", "M"):
            labels = as_of.dt.to_period(frequency)
            if (labels != labels.iloc[0]).any():
                return replace(self, period=pd.Index(labels.astype(str), name=PERIOD))
        raise ValueError(
            "stability compares the bins of several periods; all decisions are of "
            f"{as_of.dt.to_period('M').iloc[0]}"
        )


def describe(histories: pd.DataFrame, left_out: Sequence[str] = ()) -> DataSummary:
    """Describe histories, with a fingerprint of customers, as_of, times and amounts.

    What was left out of their log goes along.
    """
    flat = flatten(histories)
    digest = hashlib.sha256()
    for values in (flat.as_of, flat.ends - flat.starts, flat.times, flat.numbers("amount")):
        digest.update(np.ascontiguousarray(values).tobytes())
    digest.update("\0".join(map(str, histories.index)).encode())
    if not len(flat.times):
        known = pd.util.hash_pandas_object(histories.drop(columns="history"), index=False)
        digest.update(known.to_numpy().tobytes())
        return DataSummary(
            name="table",
            fingerprint=digest.hexdigest(),
            customers=int(histories.index.nunique()),
        )
    return DataSummary(
        name="histories",
        fingerprint=digest.hexdigest(),
        customers=int(histories.index.nunique()),
        transactions=len(flat.times),
        first=iso(flat.times.min()),
        last=iso(flat.times.max()),
        first_as_of=iso(flat.as_of.min()),
        last_as_of=iso(flat.as_of.max()),
        left_out=list(left_out),
    )


def package_versions(pipeline: Any) -> dict[str, str]:
    """Return the versions of Python and of the packages that a fitted pipeline needs.

    They follow from the modules of all objects within it, whatever a model is called.
    """
    modules: set[str] = set()
    _add_modules(pipeline, modules, set())
    known = _packages_of_modules()
    others = {name for module in modules for name in known.get(module, ())}
    found = {
        name: version(name) for name in [*_PACKAGES, *sorted(others - {*_PACKAGES, "rfmrisk"})]
    }
    return {"python": platform.python_version(), "rfmrisk": __version__, **found}


@cache
def _packages_of_modules() -> Mapping[str, list[str]]:
    """Return the packages that have each module: all that are installed are read, once."""
    return packages_distributions()


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
