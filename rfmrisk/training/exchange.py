"""Histories as JSON and as Parquet, and what MLflow logs about them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from rfmrisk.histories.columns import arrow_column


def to_records(histories: pd.DataFrame) -> list[dict[str, Any]]:
    """Return histories as plain values that JSON can hold, with times as ISO-8601 text.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, 2)
        As made by `to_histories`.

    Returns
    -------
    list of dict
        ``as_of``, the other columns of the decision where there are any, and ``history``, a list
        of transactions. A frame of these is histories again.

    Examples
    --------
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.training.exchange import to_records
    >>> histories = to_histories(make_transactions(n_customers=5, random_state=0))
    >>> records = to_records(histories)
    >>> records[0]["as_of"]
    '2019-05-14T00:00:00'
    """
    columns = {str(name): arrow_column(histories[name]).to_pylist() for name in histories}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [
        _plain({name: value for name, value in row.items() if name != "history"})
        | {"history": [_plain(transaction) for transaction in row["history"]]}
        for row in rows
    ]


def _plain(transaction: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        if value is None or isinstance(value, bool | int | float | str)
        else value.isoformat()
        if hasattr(value, "isoformat")
        else str(value)
        for name, value in transaction.items()
    }


def signature(columns: Iterable[str] = ("as_of", "history"), n_classes: int = 2) -> Any:
    """Return MLflow's signature of a pipeline from histories to probabilities.

    All columns are of MLflow's type Any: ``as_of`` is a timestamp in Python and ISO-8601 text
    in JSON, and the other fields of a transaction are the log's own. The pipeline checks them
    more strictly than a signature can.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), name) for name in columns]),
        outputs=Schema([TensorSpec(np.dtype("float64"), (-1, n_classes))]),
    )


def write_histories(histories: pd.DataFrame, path: Path) -> None:
    """Write histories as a Parquet file; ids that Parquet has no type for become text."""
    index = histories.index
    try:
        customer = pa.array(index)
    except (pa.ArrowException, TypeError):
        customer = pa.array(index.astype(str))
    columns = [customer, *(arrow_column(histories[name]) for name in histories)]
    table = pa.table(columns, names=["customer", *histories])
    parquet.write_table(table, path, compression="zstd")


def read_histories(path: Path) -> pd.DataFrame:
    """Read what `write_histories` wrote."""
    table = parquet.read_table(path)
    history = table["history"]
    columns = {
        name: pd.array(history, dtype=pd.ArrowDtype(history.type))
        if name == "history"
        else table[name].to_pandas()
        for name in table.column_names[1:]
    }
    return pd.DataFrame(columns).set_index(pd.Index(table["customer"].to_pandas(), name="customer"))
