"""Which columns speak of risk, in which direction, and the rank of each customer in them."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfmrisk.histories.segments import Floats

RFM = {"recency": 1, "frequency": -1, "monetary": -1}


class Directions(NamedTuple):
    """The columns that are used: names, places in the input, and 1 where higher is riskier.

    ``recency`` is the place of the recency among them, the one column that may be missing
    (NaN, for a customer without any history), or -1.
    """

    columns: list[str]
    places: list[int]
    signs: list[int]
    recency: int


def check_directions(directions: Mapping[str, int] | None) -> None:
    """Raise where the directions are anything but 1 and -1."""
    if directions is None:
        return
    wrong = not isinstance(directions, Mapping) or not directions
    if wrong or any(sign not in (1, -1) for sign in directions.values()):
        raise ValueError(
            "directions must map column names to 1 (higher is riskier) or -1 (lower is); "
            f"got {directions!r}"
        )


def choose_columns(
    names: Sequence[str], n_features: int, directions: Mapping[str, int] | None, stacklevel: int = 4
) -> Directions:
    """Resolve directions to places in the input; without names the first is the recency."""
    names = list(names)
    chosen: dict[str, int]
    if directions is not None:
        absent = [name for name in directions if name not in names]
        if absent:
            raise ValueError(
                f"directions name the column(s) {absent}; the columns are "
                f"{names or f'{n_features} without names'}"
            )
        chosen = dict(directions)
    else:
        chosen = {name: RFM[_end(name)] for name in names if _end(name) in RFM}
        without = [name for name in names if name not in chosen]
        if chosen and without:
            raise ValueError(
                f"the column(s) {without} have no direction: give directions with 1 where a "
                "higher value is riskier and -1 where a lower one is"
            )
        if names and not chosen:
            warnings.warn(
                f"no column is called recency, frequency or monetary: {names[0]!r} is taken "
                "as the recency and the others as engagement; give directions to choose",
                UserWarning,
                stacklevel=stacklevel,
            )
    if not chosen:
        columns = names or [f"x{place}" for place in range(n_features)]
        return Directions(columns, list(range(n_features)), [1] + [-1] * (n_features - 1), -1)
    ends = [_end(name) for name in chosen]
    return Directions(
        list(chosen),
        [names.index(name) for name in chosen],
        [int(sign) for sign in chosen.values()],
        ends.index("recency") if "recency" in ends else -1,
    )


def with_history(values: Floats, columns: Sequence[str], recency: int) -> NDArray[np.bool_]:
    """Return which customers have a history; any other missing value is an error."""
    known = np.ones(len(values), dtype=bool)
    if recency >= 0:
        known = ~np.isnan(values[:, recency])
    missing = np.isnan(values[known]).sum(axis=0)
    if missing.any():
        counts = {name: int(count) for name, count in zip(columns, missing, strict=True) if count}
        raise ValueError(
            f"missing values (NaN) by column: {counts}, of {int(known.sum()):,} customers. Only "
            "in a column called recency may they stand, for a customer without any history. "
            "Impute them, or leave the column out"
        )
    return known


def significant(values: Any) -> Floats:
    """Round to 12 significant digits, so that equal sums of money tie.

    10.1 + 20.2 is not 30.3 in binary, and whether two sums differ in the last bit depends on the
    unit of the currency. Ranks must not.
    """
    values = np.asarray(values, dtype=np.float64)
    size = np.abs(values)
    exponent = np.floor(np.log10(size, where=size > 0, out=np.zeros_like(size)))
    scale = 10.0 ** np.clip(11 - exponent, -290, 290)
    return np.rint(values * scale) / scale


def count_levels(values: Floats) -> tuple[Floats, Floats]:
    """Return the distinct values, ascending, and the share of all below each and below infinity."""
    levels, counts = np.unique(values, return_counts=True)
    return levels, np.concatenate(([0], np.cumsum(counts))) / max(len(values), 1)


def risky_ranks(
    counted: Sequence[tuple[Floats, Floats]], values: Floats, signs: Sequence[int]
) -> Floats:
    """Return the mid-rank of each value among the counted ones, as a share, 1 being riskiest.

    ``counted`` has the levels of each of the f columns; ``values`` is (n, f).
    """
    ranks = np.empty_like(values)
    for column, ((levels, below), sign) in enumerate(zip(counted, signs, strict=True)):
        place = np.searchsorted(levels, values[:, column])
        equal = levels[np.minimum(place, len(levels) - 1)] == values[:, column]
        rank = (below[place] + below[place + equal]) / 2
        ranks[:, column] = rank if sign == 1 else 1 - rank
    return ranks


def _end(name: str) -> str:
    return name.rsplit("__", maxsplit=1)[-1]
