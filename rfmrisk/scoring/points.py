"""A scorecard as tables that are looked up: a bin's log-odds and points."""

from typing import Any

import numpy as np
from scipy.special import expit

from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.scoring.features import Categories, Columns
from rfmrisk.woe.bins import bin_labels, codes_of_levels, codes_of_numbers, missing_bin
from rfmrisk.woe.inputs import as_levels, as_numbers, read_table


class PointsTable:
    """Look customers up in a scorecard, to the last bit as it does itself.

    Parameters
    ----------
    card : Scorecard

    Attributes
    ----------
    names : list of str
        The features that count.
    labels : list of list of str
        The bins of each.
    """

    def __init__(self, card: Scorecard) -> None:
        positions = card.used_.tolist()
        all_names = card.encoder_.column_names()
        self._card = card
        self.names = [all_names[j] for j in positions]
        self.bins = [card.encoder_.bins_[j] for j in positions]
        self.labels = [bin_labels(column) for column in self.bins]
        self.intercept, self.base_points = card.intercept_, card.base_points_
        self.log_odds = _padded([card.coef_[j] * card.encoder_.bins_[j]["woe"] for j in positions])
        self.points = _padded([card.points_[j] for j in positions])
        self.lost = _padded(
            [
                np.maximum(reference - card.points_[j], 0)
                for j, reference in zip(positions, card.reference_points().tolist(), strict=True)
            ]
        )
        # Where the row of each feature begins in the tables laid out flat.
        self._begins = np.arange(len(positions))[:, None] * self.lost.shape[1]
        # Numbers are looked up all at once, but those with special values by themselves.
        plain = [column["kind"] == "numeric" and not column["special"] for column in self.bins]
        self._plain = np.flatnonzero(plain)
        self._cuts = _padded([self.bins[k]["cuts"] for k in self._plain], np.inf)
        self._missing = np.array([[missing_bin(self.bins[k])] for k in self._plain])

    def read(self, table: Any) -> Columns:
        """Return the features that count of what transformers before the scorecard give."""
        opened = read_table(self._card, table, reset=False)
        columns: Columns = {}
        for name, j, column in zip(self.names, self._card.used_.tolist(), self.bins, strict=True):
            if column["kind"] == "numeric":
                columns[name] = as_numbers(opened.read(j), name)
            else:
                codes, categories = as_levels(opened.read(j), name)
                columns[name] = Categories(codes, list(categories))
        return columns

    def codes_of_table(self, table: Any) -> np.ndarray:
        """Return what `codes` does, of what transformers before the scorecard give.

        Raises
        ------
        ValueError
            A category is unseen, and the scorecard's encoder has ``unseen="error"``.
        """
        return self._card.encoder_.bin_numbers(table, self._card.used_)[:, self._card.used_].T

    def codes(self, columns: Columns) -> np.ndarray:
        """Return the bin of each feature (rows) of each customer (columns)."""
        n = len(next(iter(columns.values())))
        codes = np.zeros((len(self.names), n), dtype=np.intp)
        if len(self._plain):
            values = np.empty((len(self._plain), n))
            for row, position in enumerate(self._plain.tolist()):
                values[row] = np.asarray(columns[self.names[position]])
            own = np.zeros(values.shape, dtype=np.intp)
            for cut in self._cuts.T:  # the first cut of every feature, then the second, ...
                own += values >= cut[:, None]
            np.copyto(own, self._missing, where=np.isnan(values))
            codes[self._plain] = own
        for position, (name, column) in enumerate(zip(self.names, self.bins, strict=True)):
            given = columns[name]
            if column["kind"] == "categorical":
                categories = _as_categories(given)
                codes[position] = codes_of_levels(categories.codes, categories.names, column)
            elif column["special"]:
                codes[position] = codes_of_numbers(np.asarray(given, dtype=np.float64), column)
        return codes

    def probability(self, codes: np.ndarray) -> np.ndarray:
        """Return the probability of being bad of each customer, given the bins."""
        return expit(_running_sum(self.intercept, self.log_odds.take(codes + self._begins)))

    def score(self, codes: np.ndarray) -> np.ndarray:
        """Return the score of each customer, given the bins."""
        return _running_sum(self.base_points, self.points.take(codes + self._begins))

    def points_lost(self, codes: np.ndarray) -> np.ndarray:
        """Return the points that each feature (columns) costs each customer (rows)."""
        return self.lost.take(codes + self._begins).T


def _as_categories(values: Any) -> Categories:
    """Return a column of a feature that was text in training, of which all may be missing now."""
    if isinstance(values, Categories):
        return values
    codes, names = as_levels(np.asarray(values), "")
    return Categories(codes, list(names))


def _running_sum(first: float, terms: np.ndarray) -> Any:
    """Add the rows one after another, as the scorecard does, to the last bit."""
    rows = np.empty((len(terms) + 1, terms.shape[1]), dtype=np.result_type(terms, type(first)))
    rows[0] = first
    rows[1:] = terms
    if rows.shape[1] > 1:
        return np.add.reduce(rows, axis=0)
    # The one column of one customer NumPy would add in pairs.
    return np.cumsum(rows, axis=0)[-1]


def _padded(rows: list[np.ndarray], with_: float = 0) -> np.ndarray:
    """Return rows of several lengths as one table, filled up at their ends."""
    width = max(map(len, rows), default=0)
    table = np.full((len(rows), width), with_, dtype=np.result_type(*rows, np.int8))
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table
