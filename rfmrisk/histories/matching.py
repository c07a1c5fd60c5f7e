"""Outcomes, and whether they belong to the rows that they are given with."""

from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.histories.segments import Floats


def check_matched(y: Any, index: pd.Index, name: str = "y") -> None:
    """Raise on a Series of outcomes that cannot be taken by position.

    Its index must be that of the histories, or a plain range, which says nothing of customers.
    Whatever other index it has, by its values or by their type, belongs to other rows or to the
    same rows in another order.

    Parameters
    ----------
    y : array-like
        Outcomes, or weights; what is no Series has no index, and is taken by position.
    index : Index
        Of the histories.
    name : str, default="y"
        What they are called, for errors.

    Raises
    ------
    ValueError
        The index is another one.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.histories.matching import check_matched
    >>> check_matched(pd.Series([0, 1], index=["2", "1"]), pd.Index([1, 2]))
    Traceback (most recent call last):
    ...
    ValueError: y has another index than the histories (['2', '1'] of type ..., ...
    """
    if not isinstance(y, pd.Series | pd.DataFrame) or y.index.equals(index):
        return
    if set(y.index) == set(index):
        raise ValueError(
            f"{name} has the customers of the histories in another order: pass "
            f"{name}.loc[histories.index]"
        )
    if y.index.equals(pd.RangeIndex(len(index))):
        return
    shown = [f"{list(each[:3])} of type {each.dtype}" for each in (y.index, index)]
    raise ValueError(
        f"{name} has another index than the histories ({shown[0]}, {shown[1]}): give it the ids of "
        f"the histories, and pass {name}.loc[histories.index]; or pass {name}.to_numpy() if its "
        "order is theirs"
    )


def outcomes_of(y: Any, index: pd.Index, name: str = "y") -> Floats:
    """Return outcomes as 0, 1 and NaN, one for each row of the histories.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
    index : Index of length n_rows
        Of the histories.
    name : str, default="y"
        What they are called, for errors.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        They have another length or order, or values other than 0, 1 and missing ones.
    """
    check_matched(y, index)
    allowed = f"{name} must be 0 (good), 1 (bad) or NaN (not known yet)"
    given = pd.Series(y)
    numbers = pd.to_numeric(given, errors="coerce")
    text = given[numbers.isna() & given.notna()]
    if len(text):
        raise ValueError(f"{allowed}; got also {text.unique()[:5].tolist()}")
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    if values.shape != (len(index),):
        raise ValueError(
            f"{name} must have one value for each of the {len(index):,} rows; got {values.shape}"
        )
    other = np.unique(values[~np.isin(values, (0, 1)) & ~np.isnan(values)])
    if len(other):
        raise ValueError(f"{allowed}; got also {other[:5].tolist()}")
    return values
