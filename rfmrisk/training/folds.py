"""The folds of a cross-validation: stratified by the target, or those of a given splitter."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

Places = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


class Folds:
    """The folds of the training customers, the same for all that cross-validates.

    Parameters
    ----------
    places : list of (fit, judge)
        Rows to fit on and rows to judge, of each fold.
    kind : str
        How they came about.
    """

    def __init__(self, places: Places, kind: str) -> None:
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

    def within(self, kept: NDArray[np.intp]) -> "Folds":
        """Return the same folds of some of the rows, by positions among these.

        Parameters
        ----------
        kept : ndarray of int
            Positions of the rows that are left, increasing.
        """

        def among(rows: NDArray[np.intp]) -> NDArray[np.intp]:
            return np.flatnonzero(np.isin(kept, rows))

        return Folds([(among(fit), among(judge)) for fit, judge in self.places], self.kind)

    @property
    def judge_each_once(self) -> bool:
        """Whether the judged rows of all folds together are each row once."""
        judged = np.sort(np.concatenate([judge for _, judge in self.places]))
        every = np.unique(np.concatenate([rows for fold in self.places for rows in fold]))
        return np.array_equal(judged, every)

    def check_classes(self, y: NDArray[Any]) -> "Folds":
        """Raise where a fold has one class alone to fit on or to judge."""
        for number, fold in enumerate(self.places):
            for rows, part in zip(fold, ("fit on", "judge"), strict=True):
                bads = int(np.sum(y[rows]))
                if bads in (0, len(rows)):
                    raise ValueError(
                        f"cv: split {number} has {len(rows) - bads:,} goods and {bads:,} bads to "
                        f"{part} among the training customers; it needs both. Take fewer splits, "
                        "or more customers"
                    )
        return self


def make_folds(histories: pd.DataFrame, y: np.ndarray, cv: int, random_state: int) -> Folds:
    """Fold the training rows, stratified, all rows of a customer in one fold."""
    unique = histories.index.is_unique
    kind = StratifiedKFold if unique else StratifiedGroupKFold
    folds = kind(cv, shuffle=True, random_state=random_state)
    groups = None if unique else histories.index
    return Folds(list(folds.split(np.zeros(len(y)), y, groups)), repr(folds))


def folds_of(splitter: Any, rows: pd.DataFrame, y: NDArray[Any]) -> Folds:
    """Return the folds that a splitter makes of rows, of which some outcomes may be unknown.

    Parameters
    ----------
    splitter : splitter of scikit-learn, or RollingOrigin
    rows : DataFrame of shape (n_rows, n_columns)
        Indexed by the customer, which is the group.
    y : array of shape (n_rows,)
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        splits = list(splitter.split(rows, y, groups=rows.index))
    places = [(np.asarray(fit), np.asarray(judge)) for fit, judge in splits]
    return Folds(places, repr(splitter).splitlines()[0])
