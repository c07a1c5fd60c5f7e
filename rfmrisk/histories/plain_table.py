"""Applications without a log: each row of a plain table is a decision with an empty history."""

import numpy as np
import pandas as pd
import pyarrow as pa

from rfmrisk.histories.columns import check_columns
from rfmrisk.histories.flat import nest
from rfmrisk.histories.nesting import check_other_columns

NO_TIME = np.datetime64(0, "us")
"""The time of an application of which none is known."""


def table_histories(table: pd.DataFrame) -> pd.DataFrame:
    """Return a plain table of applications as histories without a transaction.

    Parameters
    ----------
    table : DataFrame of shape (n_applications, n_columns)
        One row per application. Its index is the customers; a column ``as_of``, where there is
        one, is the time of the application.

    Returns
    -------
    DataFrame of shape (n_applications, 2 + n_columns)
        As `to_histories` returns; without a column ``as_of`` all are of 1970.

    Raises
    ------
    ValueError
        There is no row, or a name of a column stands twice or is one that histories need.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.histories.plain_table import table_histories
    >>> table_histories(pd.DataFrame({"age": [31, 45]})).columns.tolist()
    ['as_of', 'age', 'history']
    """
    if not len(table):
        raise ValueError("the table is empty: at least one application is needed")
    names = [str(name) for name in table.columns]
    check_columns(names, [], of="the table")
    columns = {str(name): column.array for name, column in table.items()}
    as_of = columns.pop("as_of", np.full(len(table), NO_TIME))
    check_other_columns(list(columns))
    nothing = np.zeros(len(table), dtype=np.int64)
    fields = {"time": pa.array([], pa.timestamp("us")), "amount": pa.array([], pa.float64())}
    empty = nest(pa.StructArray.from_arrays(list(fields.values()), list(fields)), nothing, nothing)
    return pd.DataFrame(
        {"as_of": as_of, **columns, "history": empty}, index=table.index.rename("customer")
    )
