"""What is known of an application beside the history: the other columns of the decision."""

import warnings
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from rfmrisk.aggregation.base import FieldType, HistoryAggregator
from rfmrisk.histories.columns import arrow_column, is_number, is_text, whole
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.histories.parameters import Constraints, at_least


class ApplicationColumns(HistoryAggregator):
    """Other columns of the decision, such as the amount asked for, a term or a bureau score.

    `to_histories` keeps them where ``as_of`` is a frame that has them.

    Parameters
    ----------
    columns : sequence of str or None, default=None
        The columns to take. None takes all numbers, text, categories and booleans that `fit`
        sees, and warns of each other column; where there are none, there are no features.
    max_categories : int, default=50
        Text with more different values is not taken by ``columns=None``: it names or numbers
        the applications.

    Attributes
    ----------
    columns_ : dict of str to {"number", "category"}
        What is taken, and what it was in training.
    feature_names_out_ : list of str
        The names of the columns.

    Raises
    ------
    ValueError
        A column is missing, or of another type than in training; both are named.

    Notes
    -----
    Numbers become float64, and categories text; booleans are the categories ``"true"`` and
    ``"false"``. A category that training did not see is passed on, for the steps behind to judge.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk import ApplicationColumns, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> log = make_transactions(n_customers=50, random_state=0)
    >>> loans = pd.DataFrame({"customer": log["CustomerId"].unique(), "as_of": "2019-05-01"})
    >>> loans = loans.assign(asked=range(1_000, 1_000 + len(loans)), purpose="car")
    >>> histories = to_histories(log, as_of=loans)
    >>> ApplicationColumns().fit_transform(histories).dtypes
    asked      float64
    purpose        str
    dtype: object
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "columns": ["array-like", None],
        "max_categories": [at_least(1)],
    }

    def __init__(self, columns: Sequence[str] | None = None, max_categories: int = 50) -> None:
        self.columns = columns
        self.max_categories = max_categories

    def learn(self, flat: FlatHistories) -> None:
        if self.columns is not None:
            self.columns_ = {name: _required_type(flat, name) for name in self.columns}
            return
        found = {name: self._type_of(values, name) for name, values in flat.decisions.items()}
        self.columns_ = {name: dtype for name, (dtype, _) in found.items() if dtype}
        left_out = [f"{name!r} ({reason})" for name, (dtype, reason) in found.items() if not dtype]
        if left_out:
            warnings.warn(
                f"columns of the decisions that no feature is made of: {', '.join(left_out)}. "
                "Make numbers or categories of them, or leave them out",
                UserWarning,
                stacklevel=4,
            )

    def compute(self, flat: FlatHistories, wanted: Collection[str] | None = None) -> dict[str, Any]:
        features: dict[str, Any] = {}
        for name, dtype in self.columns_.items():
            if wanted is not None and name not in wanted:
                continue
            if dtype == "number":
                features[name] = _numbers(_arrow(_column(flat, name), name), name)
            else:
                features[name] = category_texts(flat, name).to_pandas().astype("str").array
        return features

    def needed_columns(self, wanted: Collection[str] | None = None) -> dict[str, FieldType]:
        return {
            name: dtype for name, dtype in self.columns_.items() if wanted is None or name in wanted
        }

    def _type_of(self, values: Any, name: str) -> tuple[FieldType | None, str]:
        """Return whether a column is a number or a category, or why it is neither."""
        try:
            column = _arrow(values, name)
        except ValueError:
            return None, "of mixed types"
        dtype = _field_type(column)
        if dtype is None:
            missing = column.null_count == len(column)
            return None, "missing everywhere" if missing else f"of type {column.type}"
        if is_text(column.type):
            n_categories = len(pc.unique(column).drop_null())
            if n_categories > self.max_categories:
                return None, f"{n_categories:,} different texts, more than {self.max_categories}"
        return dtype, ""


def category_texts(flat: FlatHistories, name: str) -> pa.Array:
    """Return the categories in a column of the decisions, as text.

    Raises
    ------
    ValueError
        The column is missing, or holds neither text nor booleans.
    """
    column = _arrow(_column(flat, name), name)
    if not (is_text(column.type) or types.is_boolean(column.type) or types.is_null(column.type)):
        missing = pc.all(pc.is_null(column, nan_is_null=True)).as_py()
        if not missing:
            raise _other_type(column, name, "categories")
        column = pa.nulls(len(column))
    return column.cast(pa.string())


def _column(flat: FlatHistories, name: str) -> Any:
    if name not in flat.decisions:
        raise ValueError(
            f"the histories have no column {name!r}, which is needed beside as_of; "
            f"they have {list(flat.decisions)}"
        )
    return flat.decisions[name]


def _required_type(flat: FlatHistories, name: str) -> FieldType:
    column = _arrow(_column(flat, name), name)
    dtype = _field_type(column)
    if dtype is None:
        raise ValueError(
            f"column {name!r} of the decisions must hold numbers, text, categories or booleans; "
            f"its type is {column.type}"
        )
    return dtype


def _arrow(values: Any, name: str) -> pa.Array:
    """Return a column in Arrow's form, categories as their values."""
    if not isinstance(values, pa.Array):
        values = whole(arrow_column(pd.Series(values, name=name)))
    if types.is_dictionary(values.type):
        values = values.dictionary_decode().cast(pa.string())
    return values


def _field_type(column: pa.Array) -> FieldType | None:
    if is_number(column.type):
        return None if column.null_count == len(column) else "number"
    return "category" if is_text(column.type) or types.is_boolean(column.type) else None


def _numbers(column: pa.Array, name: str) -> np.ndarray:
    if not (is_number(column.type) or types.is_null(column.type)):
        raise _other_type(column, name, "numbers")
    numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    n_infinite = np.count_nonzero(np.isinf(numbers))
    if n_infinite:
        raise ValueError(f"column {name!r} of the decisions holds {n_infinite:,} infinite values")
    return numbers


def _other_type(column: pa.Array, name: str, expected: str) -> ValueError:
    first = column.drop_null()[0].as_py()
    return ValueError(
        f"column {name!r} of the decisions held {expected} in training, and now holds "
        f"{column.type}, such as {first!r}"
    )
