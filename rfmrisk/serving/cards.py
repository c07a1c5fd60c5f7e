"""A scorecard as tables that are looked up: a bin's log-odds, points and reason."""

from typing import Any

import numpy as np
from scipy.special import expit

from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.serving.features import Columns, Levels
from rfmrisk.serving.reasons import N_REASONS, Reason
from rfmrisk.woe.bins import bin_labels, codes_of_levels, codes_of_numbers, missing_bin


class CardRater:
    """Rate customers by a scorecard, to the last bit as it does itself.

    Parameters
    ----------
    card : Scorecard
    names : list of str
        The features that it was fitted on.

    Attributes
    ----------
    used : set of str
        The features that count.
    independent : bool
        Whether no customer's rating depends on who is rated with it, to the last bit.
    """

    independent = True

    def __init__(self, card: Scorecard, names: list[str]) -> None:
        places = card.used_.tolist()
        self.names = [names[j] for j in places]
        self.used = set(self.names)
        self.bins = [card.encoder_.bins_[j] for j in places]
        self.intercept, self.base_points = card.intercept_, card.base_points_
        self.log_odds = padded([card.coef_[j] * card.encoder_.bins_[j]["woe"] for j in places])
        self.points = padded([card.points_[j] for j in places])
        lost = []
        for j in places:
            lost.append(np.maximum(card.best_points(j) - card.points_[j], 0))
        self.lost = padded(lost)
        # Where the row of each feature begins in the tables laid out flat.
        self.begins = np.arange(len(places))[:, None] * self.lost.shape[1]
        # Numbers are looked up all at once, but those with special values by themselves.
        kinds = [(column["kind"], len(column["special"]) > 0) for column in self.bins]
        self.plain = np.array(
            [k for k, kind in enumerate(kinds) if kind == ("numeric", False)], int
        )
        self.levels = np.array([kind == "categorical" for kind, _ in kinds])
        self.cuts = padded([self.bins[k]["cuts"] for k in self.plain], np.inf)
        self.missing = np.array([[missing_bin(self.bins[k])] for k in self.plain])
        self.told = self._reasons_of_bins()
        self._told_of_levels: dict[tuple[int, int, str], Reason] = {}

    def rate(self, columns: Columns) -> tuple[np.ndarray, np.ndarray, list[list[Reason]]]:
        """Return the probability, score and reasons of each customer."""
        codes = self._codes(columns)
        places = codes + self.begins
        log_odds = _running_sum(self.intercept, self.log_odds.take(places))
        score = _running_sum(self.base_points, self.points.take(places))
        return expit(log_odds), score, self._reasons(columns, codes, self.lost.take(places))

    def _codes(self, columns: Columns) -> np.ndarray:
        """Return the bin of each feature (rows) of each customer (columns)."""
        n = len(next(iter(columns.values())))
        codes = np.zeros((len(self.names), n), dtype=np.intp)
        if len(self.plain):
            values = np.empty((len(self.plain), n))
            for row, place in enumerate(self.plain.tolist()):
                values[row] = np.asarray(columns[self.names[place]])
            own = np.zeros(values.shape, dtype=np.intp)
            for cut in self.cuts.T:  # the first cut of every feature, then the second, ...
                own += values >= cut[:, None]
            np.copyto(own, self.missing, where=np.isnan(values))
            codes[self.plain] = own
        for place, (name, column) in enumerate(zip(self.names, self.bins, strict=True)):
            given = columns[name]
            if isinstance(given, Levels):
                codes[place] = codes_of_levels(given.codes, given.names, column)
            elif column["special"]:
                codes[place] = codes_of_numbers(np.asarray(given, dtype=np.float64), column)
        return codes

    def _reasons(self, columns: Columns, codes: np.ndarray, lost: np.ndarray) -> list[list[Reason]]:
        customers = np.arange(lost.shape[1])
        order = np.empty((lost.shape[1], min(N_REASONS, len(lost))), dtype=np.intp)
        cost = np.empty(order.shape, dtype=lost.dtype)
        # The most, then the most of the others, ...: far less work than to sort all.
        for rank in range(order.shape[1]):
            order[:, rank] = lost.argmax(axis=0)
            cost[:, rank] = lost[order[:, rank], customers]
            lost[order[:, rank], customers] = -1
        bins = codes[order, customers[:, None]]
        reasons = self.told[order, bins].tolist()
        of_levels = self.levels[order]
        if of_levels.any():
            for customer, rank in zip(
                *(axis.tolist() for axis in of_levels.nonzero()), strict=True
            ):
                place, code = int(order[customer, rank]), int(bins[customer, rank])
                given = columns[self.names[place]]
                if isinstance(given, Levels) and (level := given.codes[customer]) >= 0:
                    reasons[customer][rank] = self._reason_of_level(place, code, given.names[level])
        for customer in np.flatnonzero(cost[:, -1] <= 0).tolist():
            del reasons[customer][np.count_nonzero(cost[customer] > 0) :]
        return reasons

    def _reason_of_level(self, place: int, code: int, level: str) -> Reason:
        """Return the reason of a level, which says more than its group."""
        key = (place, code, level)
        known = self._told_of_levels.get(key)
        if known is None:
            known = self._tell(place, code, f"is {level}")
            if len(self._told_of_levels) < _MOST_LEVELS:
                self._told_of_levels[key] = known
        return known

    def _reasons_of_bins(self) -> np.ndarray:
        told = np.full(self.lost.shape, None, dtype=object)
        for place, column in enumerate(self.bins):
            for code, label in enumerate(bin_labels(column)):
                what = "missing" if code == missing_bin(column) else f"in {label}"
                told[place, code] = self._tell(place, code, what)
        return told

    def _tell(self, place: int, code: int, what: str) -> Reason:
        name, points = self.names[place], self.lost[place, code].item()
        return Reason(name, f"{name} {what}: {points:.6g} points below the best", points)


# Levels are the clients' own words: only so many are kept.
_MOST_LEVELS = 10_000


def _running_sum(first: float, terms: np.ndarray) -> Any:
    """Add the rows one after another, as the scorecard does, to the last bit."""
    rows = np.empty((len(terms) + 1, terms.shape[1]), dtype=np.result_type(terms, type(first)))
    rows[0] = first
    rows[1:] = terms
    if rows.shape[1] > 1:
        return np.add.reduce(rows, axis=0)
    # The one column of one customer NumPy would add in pairs.
    return np.cumsum(rows, axis=0)[-1]


def padded(rows: list[np.ndarray], with_: float = 0) -> np.ndarray:
    """Return rows of several lengths as one table, filled up at their ends."""
    width = max(map(len, rows), default=0)
    table = np.full((len(rows), width), with_, dtype=np.result_type(*rows, np.int8))
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table
