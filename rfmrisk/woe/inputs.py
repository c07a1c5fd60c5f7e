"""Take a table apart, one column at a time: numbers as floats, everything else as levels.

A table is a pandas or Polars frame, or an array. Its columns come out as NumPy arrays, so that
the binning and the encoder never see a data-frame library.
"""

from __future__ import annotations

import numbers
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.utils.validation import check_array, validate_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Kind = Literal["numeric", "categorical"]

_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}
_LEVELS = {"string", "boolean", "mixed", "mixed-integer", "categorical", "empty"}


class Table:
    """The columns of one input, in its own order, each read when it is asked for."""

    def __init__(self, names: list[str], n_rows: int, read: Callable[[int], Any]) -> None:
        self.names = names
        self.n_rows = n_rows
        self.read = read

    def __len__(self) -> int:
        """Count the columns."""
        return len(self.names)


def read_table(estimator: Any, X: Any, *, reset: bool) -> Table:
    """Check a table as scikit-learn does and open it column by column.

    Parameters
    ----------
    estimator : estimator
        Its ``feature_names_in_`` and ``n_features_in_`` are set (``reset``) or compared.
    X : frame or array-like of shape (n, f)
        pandas, Polars or anything ``numpy.asarray`` takes.
    reset : bool
        True in ``fit``.

    Raises
    ------
    ValueError
        If the columns' names, order or number differ from those of ``fit``, or if the table is
        empty, sparse or not two-dimensional.
    """
    _check_two_dimensional(X)
    frame: Any = None
    if isinstance(X, pd.DataFrame) or hasattr(X, "__arrow_c_stream__"):
        frame = X
        if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
            twice = ", ".join(map(str, X.columns[X.columns.duplicated()].unique()))
            raise ValueError(f"Column names must be unique; got more than one {twice}.")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if not isinstance(X, pd.DataFrame):
            frame = pa.table(X)
        if min(frame.shape) == 0:
            raise ValueError(
                f"Found array with {frame.shape[0]} sample(s) and {frame.shape[1]} feature(s) "
                f"(shape={frame.shape}) while a minimum of 1 is required by "
                f"{type(estimator).__name__}."
            )
    else:
        if isinstance(X, list | tuple):
            X = np.array(X, dtype=object)  # numbers in a row of text stay numbers
        X = check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = [f"x{j}" for j in range(estimator.n_features_in_)]
    # Views of all columns at once: taking one by its position costs pandas four times as much.
    series = [column for _, column in frame.items()] if isinstance(frame, pd.DataFrame) else []

    def read(j: int) -> Any:
        if frame is None:
            return X[:, j]
        if not series:
            return _from_arrow(frame.column(j))
        column = series[j]
        is_plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"
        return column.to_numpy() if is_plain else _known(column)

    return Table([str(name) for name in names], X.shape[0] if frame is None else len(frame), read)


def _check_two_dimensional(X: Any) -> None:
    """Refuse what has no columns, with the line that would work."""
    given = type(X).__name__
    if isinstance(X, pd.Series) or (given == "Series" and hasattr(X, "to_frame")):
        name = repr(X.name) if X.name not in (None, "") else None
        line = f"X[[{name}]] of its frame, or " if name else ""
        raise ValueError(f"Expected 2D input, a frame; got a Series. Give {line}X.to_frame()")
    if isinstance(X, pa.Array | pa.ChunkedArray):
        raise ValueError(f"Expected 2D input, a frame; got a {given}. Give pa.table({{'x': X}})")
    if given == "LazyFrame":
        raise TypeError("X is a LazyFrame, which has no values yet. Give X.collect()")
    record = X[0] if isinstance(X, list | tuple) and X else X
    if type(record) is dict:
        line = "[X]" if record is X else "X"
        raise TypeError(f"X is made of dicts. Give pandas.DataFrame({line})")


def column_kind(values: Any, name: str) -> Kind:
    """Decide whether a column holds numbers or levels.

    Integers, floats and decimals are numbers, whatever library they come from; text, categories
    and booleans are levels; an object column is what its non-missing entries are.

    Raises
    ------
    TypeError
        For dates, durations, complex numbers and nested entries.
    """
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return "categorical" if dtype.kind == "b" else "numeric"
    if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(dtype):
        return "categorical"
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"Complex data not supported; column {name!r} has dtype {dtype}.")
    if pd.api.types.is_numeric_dtype(dtype):
        return "numeric"
    found = pd.api.types.infer_dtype(values, skipna=True)
    if found == "complex":
        raise ValueError(f"Complex data not supported; column {name!r} holds complex numbers.")
    if found in _NUMBERS:
        return "numeric"
    if found in _LEVELS:
        return "categorical"
    raise TypeError(
        f"Column {name!r} (dtype {dtype}) holds {found} values; numbers, text, categories and "
        "booleans are supported. Turn dates into numbers first, such as days to a reference date, "
        "and intervals into text, with astype(str)"
    )


def as_numbers(values: Any, name: str) -> NDArray[np.float64]:
    """Return a column as float64 with NaN for missing; a view where no conversion is needed.

    Raises
    ------
    TypeError
        If the column holds text.
    ValueError
        If it holds infinite values.
    """
    kind = column_kind(values, name)
    if kind == "categorical" and not pd.api.types.is_bool_dtype(values.dtype):
        present = pd.Series(values).dropna()
        if len(present):
            raise TypeError(
                f"Column {name!r} was fitted as numbers and now holds {present.iloc[0]!r}; "
                "give it numbers, or fit it as text."
            )
        return np.full(len(values), np.nan)
    if isinstance(values.dtype, np.dtype) and values.dtype != object:
        x = np.asarray(values).astype(np.float64, copy=False)
    else:
        x = pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(x).all() and np.isinf(x).any():
        raise ValueError(
            f"Input X contains infinity: column {name!r} has {int(np.isinf(x).sum())} infinite "
            "value(s). Make them missing, or a finite limit."
        )
    return x


def as_levels(values: Any, name: str) -> tuple[NDArray[np.intp], list[str]]:
    """Return a column as codes into a list of texts, with -1 for missing.

    A level is known by its text: ``True`` is ``"True"``, and 1 and 1.0 are both ``"1"``.

    Raises
    ------
    TypeError
        If an entry is neither text nor number.
    """
    column_kind(values, name)
    codes, uniques = pd.factorize(values)
    try:
        texts = [level_text(level) for level in uniques]
    except TypeError as error:
        raise TypeError(f"Column {name!r}: {error}; make it text, with astype(str)") from None
    levels = list(dict.fromkeys(texts))
    if len(levels) < len(texts):  # such as 1 and "1" in one object column
        place = {text: k for k, text in enumerate(levels)}
        codes = np.append([place[text] for text in texts], -1)[codes]
    return codes.astype(np.intp, copy=False), levels


def level_text(level: Any) -> str:
    """Return the text by which a level is known.

    Raises
    ------
    TypeError
        If the level is neither text nor number.

    Examples
    --------
    >>> [level_text(level) for level in ("a", True, 1, 1.0, 2.5)]
    ['a', 'True', '1', '1', '2.5']
    """
    if isinstance(level, str):
        return str(level)
    if isinstance(level, (bool, np.bool_)):
        return str(bool(level))
    if isinstance(level, numbers.Integral):
        return str(int(level))
    if isinstance(level, Decimal) and level == level.to_integral_value():
        return str(int(level))
    if isinstance(level, (numbers.Real, Decimal)):
        number = float(level)
        return str(int(number)) if number.is_integer() and abs(number) < 1e22 else repr(number)
    raise TypeError(f"argument must be a string or a number, got {type(level).__name__}")


def _known(column: pd.Series) -> pd.Series:
    """Return a column without Arrow's type of nothing, which says only that all is missing."""
    dtype = column.dtype
    if isinstance(dtype, pd.ArrowDtype) and pa.types.is_null(dtype.pyarrow_dtype):
        return pd.Series(np.full(len(column), None, dtype=object), index=column.index)
    return column


def _from_arrow(column: pa.ChunkedArray) -> pd.Series:
    if pa.types.is_dictionary(column.type):  # Arrow 20 gives pandas no unsigned codes
        return column.cast(pa.dictionary(pa.int64(), column.type.value_type)).to_pandas()
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    return _known(pd.Series(pd.arrays.ArrowExtensionArray(column)))
