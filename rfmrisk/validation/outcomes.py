"""Outcomes and other values that come beside the rows: by name, by id or by position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rfmrisk.histories.matching import outcomes_of

if TYPE_CHECKING:
    from rfmrisk.histories.segments import Floats


def column_of(rows: pd.DataFrame, values: Any, name: str) -> pd.Series:
    """Return one value a row: a column of the rows, a Series of the same ids, or an array.

    Parameters
    ----------
    rows : DataFrame of shape (n, f)
    values : str, Series or array-like of shape (n,)
        A Series whose index is a plain range is taken by position, unless the range is the ids
        of the rows; another index holds customers, and is matched by them: it need not have all.
    name : str
        What the values are, for errors.

    Returns
    -------
    Series of shape (n,)
        With the index of the rows.
    """
    if isinstance(values, str):
        if values not in rows.columns:
            raise ValueError(
                f"{name}: there is no column {values!r}; there are "
                f"{', '.join(map(str, rows.columns))}"
            )
        return rows[values]
    if isinstance(values, pd.Series) and _holds_customers(values.index, rows.index):
        if not values.index.is_unique:
            raise ValueError(
                f"{name} has several values of one customer: give one value a row, in the order "
                "of the rows"
            )
        if not rows.index.isin(values.index).any():
            raise ValueError(f"{name}: its index and that of the rows have no id in common")
        return values.reindex(rows.index)
    found = pd.Series(np.asarray(values), index=rows.index) if len(values) == len(rows) else None
    if found is None:
        raise ValueError(f"{name} must have one value a row, {len(rows)}; got {len(values)}")
    return found


def known_outcomes(rows: pd.DataFrame, outcomes: Any) -> Floats:
    """Return outcomes as floats: 1 bad, 0 good, NaN not known yet."""
    given = column_of(rows, outcomes, "outcomes")
    return outcomes_of(given, rows.index, "outcomes")


def _holds_customers(index: pd.Index, rows: pd.Index) -> bool:
    """Whether values are to be matched by their index, which is then not a mere numbering."""
    if index.equals(rows):
        return False
    return not index.equals(pd.RangeIndex(len(rows))) or set(index) == set(rows)
