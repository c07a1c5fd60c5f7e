"""Outcomes and other values that come beside the rows: by name, by id or by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.validation.targets import check_outcomes


def column_of(rows: pd.DataFrame, values: Any, name: str) -> pd.Series:
    """Return one value a row: a column of the rows, a Series of the same ids, or an array.

    Parameters
    ----------
    rows : DataFrame of shape (n, f)
    values : str, Series or array-like of shape (n,)
        A Series of another index than that of the rows holds customers, and is matched by them;
        it need not have all.
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
    if isinstance(values, pd.Series) and not values.index.equals(rows.index):
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


def outcomes_of(rows: pd.DataFrame, outcomes: Any) -> np.ndarray:
    """Return outcomes as floats: 1 bad, 0 good, NaN not known yet."""
    given = column_of(rows, outcomes, "outcomes")
    found = pd.to_numeric(given, errors="coerce")
    text = found.isna() & given.notna()
    if text.any():
        raise ValueError(
            f"outcomes must be 0 (good), 1 (bad) or missing; got {given[text].iloc[0]!r}"
        )
    y = found.to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(y)
    if known.any():
        check_outcomes(y[known])
    return y
