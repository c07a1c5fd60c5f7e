"""Histories as a reader wants to see them: a sentence in the place of a list."""

import numpy as np
import pandas as pd

from rfmrisk.histories.flat import flatten


def describe_histories(histories: pd.DataFrame) -> pd.DataFrame:
    """Say of each history how many transactions it has, from when to when, and their amount.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, 2 + n_other_columns)
        As made by `to_histories`.

    Returns
    -------
    DataFrame of shape (n_customers, 2 + n_other_columns)
        The same rows, with a text in the place of each history: the number of transactions, the
        days of the first and the last, and the sum of the absolute amounts.

    Raises
    ------
    TypeError, ValueError
        These are no histories.

    Examples
    --------
    >>> from rfmrisk import describe_histories, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> describe_histories(histories)["history"].iloc[0]
    '4 transactions, 2019-01-13 to 2019-05-05, 22,150'
    """
    flat = flatten(histories)
    counts = flat.ends - flat.starts
    sums = flat.segments.sum(np.abs(flat.numbers("amount")))
    texts = np.full(len(counts), "no transactions", dtype=object)
    for row in np.flatnonzero(counts).tolist():
        first, last = flat.times[[flat.starts[row], flat.ends[row] - 1]].astype("datetime64[us]")
        days = f"{first.astype('datetime64[D]')} to {last.astype('datetime64[D]')}"
        noun = "transaction" if counts[row] == 1 else "transactions"
        texts[row] = f"{counts[row]:,} {noun}, {days}, {sums[row]:,.0f}"
    return histories.assign(history=pd.array(texts, dtype="str"))
