"""What kinds of transactions a customer makes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from rfmrisk.aggregation.base import FieldType, HistoryAggregator
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.histories.missing import missing_where
from rfmrisk.histories.parameters import Constraints, at_least
from rfmrisk.histories.ranks import encode
from rfmrisk.histories.segments import Segments, ratio


class CategoryAggregator(HistoryAggregator):
    """Most frequent level, number of levels and share of the most frequent level.

    Parameters
    ----------
    columns : sequence of str or None, default=None
        Fields of the transactions whose values are levels: text, categories, booleans or
        integers. None takes every field of text, categories or booleans that has from 2 to
        ``max_levels`` levels in the histories seen by `fit` and does not hold dates.
    max_levels : int, default=50
        The most levels a field may have to be taken by ``columns=None``.

    Attributes
    ----------
    columns_ : list of str
        The fields that are used.
    dtypes_ : dict of str to {"text", "integer", "boolean", ""}
        What the levels of each field are; those of other files are read as the same.
    feature_names_out_ : list of str
        ``ProductCategory_top`` (text), ``ProductCategory_levels`` (a count),
        ``ProductCategory_top_share`` (a share of the transactions with a level).

    Notes
    -----
    Of equally frequent levels the first in sorted order is taken. Missing levels are not
    counted; where nothing is left, the top level and its share are missing.

    Examples
    --------
    >>> from rfmrisk import CategoryAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> CategoryAggregator(["ProductCategory"]).fit_transform(histories).dtypes
    ProductCategory_top              str
    ProductCategory_levels         int64
    ProductCategory_top_share    float64
    dtype: object
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "columns": ["array-like", None],
        "max_levels": [at_least(1)],
    }

    def __init__(self, columns: Sequence[str] | None = None, max_levels: int = 50) -> None:
        self.columns = columns
        self.max_levels = max_levels

    def learn(self, flat: FlatHistories) -> None:
        if self.columns is None:
            self.columns_ = [
                name
                for name in flat.field_names
                if name != "order" and _has_levels(flat.field(name), self.max_levels)
            ]
        else:
            self.columns_ = [str(name) for name in self.columns]
        self.dtypes_ = {
            name: _dtype(flat.field(name)) for name in self.columns_ if name in flat.field_names
        }

    def compute(self, flat: FlatHistories, wanted: Collection[str] | None = None) -> dict[str, Any]:
        features: dict[str, Any] = {}
        for column, top in top_levels(flat, list(self.needed_fields(wanted)), self.dtypes_).items():
            names = top.names.cast(pa.string()).to_pandas().astype("str")
            values = (names.reindex(top.codes).array, top.n_levels, top.share)
            features |= dict(zip(_names(column), values, strict=True))
        return features

    def needed_fields(self, wanted: Collection[str] | None = None) -> dict[str, FieldType]:
        return {
            column: "category"
            for column in self.columns_
            if wanted is None or any(name in wanted for name in _names(column))
        }


def _names(column: str) -> list[str]:
    return [f"{column}_top", f"{column}_levels", f"{column}_top_share"]


_TOGETHER = 2**14  # up to so many values, all fields are counted faster at once than by turns


class TopLevel(NamedTuple):
    """The most frequent level of each customer: its number in ``names``, -1 for none."""

    codes: np.ndarray
    n_levels: np.ndarray
    share: np.ndarray
    names: pa.Array


def _has_levels(field: pa.Array, max_levels: int) -> bool:
    dtype = field.type
    if pa.types.is_dictionary(dtype):
        dtype = dtype.value_type
    if not (
        pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_boolean(dtype)
    ):
        return False
    # An id has about as many levels as there are rows; its first rows already show too many.
    if len(pc.unique(field.slice(0, 50 * max_levels)).drop_null()) > max_levels:
        return False
    levels = pc.unique(field).drop_null()
    return 2 <= len(levels) <= max_levels and not _are_dates(levels)


def _are_dates(levels: pa.Array) -> bool:
    if isinstance(levels, pa.DictionaryArray):
        levels = levels.dictionary_decode()
    try:
        levels.cast(pa.timestamp("us"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def top_levels(
    flat: FlatHistories, columns: Sequence[str], dtypes: Mapping[str, str]
) -> dict[str, TopLevel]:
    """Return the most frequent levels of each of some fields, read as the dtypes of the fit."""
    fields = {
        column: _conformed(_field_of_levels(flat, column), column, dtypes.get(column, ""))
        for column in columns
    }
    few = len(flat.times) * len(columns) <= _TOGETHER
    groups: dict[Any, list[str]] = {}
    for column, field in fields.items():
        together = few and not pa.types.is_dictionary(field.type)
        groups.setdefault(field.type if together else column, []).append(column)
    found: dict[str, TopLevel] = {}
    for group in groups.values():
        found |= zip(group, _count(flat, [fields[column] for column in group]), strict=True)
    return {column: found[column] for column in columns}


def _field_of_levels(flat: FlatHistories, column: str) -> pa.Array:
    field = flat.field(column)
    dtype = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if not (
        pa.types.is_string(dtype)
        or pa.types.is_large_string(dtype)
        or pa.types.is_boolean(dtype)
        or pa.types.is_integer(dtype)
        or pa.types.is_null(dtype)
    ):
        raise ValueError(
            f"the field {column!r} must hold text, categories, booleans or integers to have "
            f"levels; its type is {dtype}"
        )
    return field


def _dtype(field: pa.Array) -> str:
    """Return what the levels of a field are; empty where that is not known."""
    dtype = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_boolean(dtype):
        return "boolean"
    if pa.types.is_integer(dtype):
        return "integer"
    return "text" if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) else ""


def _conformed(field: pa.Array, column: str, dtype: str) -> pa.Array:
    """Return a field as levels of the dtype of the fit, whatever the file had; blanks missing.

    A file of text knows no types: 1 may have come as "1", and true as "True".
    """
    own = _dtype(field)
    plain = own == "text" and not pa.types.is_dictionary(field.type)
    if plain and pc.min(pc.binary_length(field)).as_py() == 0:
        field = missing_where(pc.equal(field, ""), field)
    if own in (dtype, "") or not dtype:
        return field
    if pa.types.is_dictionary(field.type):
        field = field.dictionary_decode()
    try:
        if dtype == "text":
            return field.cast(pa.string())
        if dtype == "boolean" and own == "text":
            return pc.utf8_lower(field).cast(pa.bool_())
        return field.cast(pa.int64() if dtype == "integer" else pa.bool_())
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"the field {column!r} must hold levels that are {dtype}, as in training; its type is "
            f"{field.type}, and {error}"
        ) from error


def _count(flat: FlatHistories, fields: list[pa.Array]) -> list[TopLevel]:
    """Count the levels of fields of one type, as if each were of customers of its own."""
    k, n = len(fields), len(flat.starts)
    field, customers = fields[0], flat.customers
    if k > 1:
        field = pa.concat_arrays(fields)
        customers = (customers + n * np.arange(k)[:, None]).ravel()
    codes, levels = encode(field)
    if field.null_count:
        valid = field.is_valid().to_numpy(zero_copy_only=False)
        customers, codes, levels = customers[valid], codes[valid], levels.drop_null()
    shape = (k * n, max(len(levels), 1))
    dense = shape[0] * shape[1] <= 12 * len(codes) + 4096
    counts = (count_dense if dense else count_sparse)(customers, codes, shape)
    top, n_levels, share = (values.reshape(k, n) for values in counts)
    return [TopLevel(top[j], n_levels[j], share[j], levels) for j in range(k)]


def count_dense(
    customers: np.ndarray, codes: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count in a table of levels by customers; return the top level, how many, and its share."""
    n, n_levels = shape
    cells = np.bincount(codes * n + customers, minlength=n * n_levels).reshape(n_levels, n)
    # The largest of count and level in one number, of which an earlier level has the larger.
    largest = (cells * n_levels + np.arange(n_levels - 1, -1, -1)[:, None]).max(axis=0)
    most = largest // n_levels
    top = np.where(most > 0, n_levels - 1 - largest % n_levels, -1)
    found = np.add.reduce(cells > 0, axis=0, dtype=np.int64)
    return top, found, ratio(most, cells.sum(axis=0))


def count_sparse(
    customers: np.ndarray, codes: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count as `count_dense` does, for a table that would be mostly zeros."""
    ones = np.ones(len(codes), dtype=np.int64)
    cells = sparse.coo_array((ones, (customers, codes)), shape=shape).tocsr()
    cells.sum_duplicates()

    first, end = cells.indptr[:-1].astype(np.int64), cells.indptr[1:].astype(np.int64)
    segments = Segments(first, end)
    most = segments.max(cells.data.astype(np.float64))
    is_most = cells.data == np.repeat(most, end - first)
    # Within a customer the levels are sorted, so the first of the most frequent has the
    # largest distance to the end.
    place = np.where(is_most, len(cells.data) - np.arange(len(cells.data)), 0.0)
    found = np.flatnonzero(end > first)
    top = np.full(shape[0], -1)
    winner = len(cells.data) - segments.max(place)[found].astype(np.int64)
    top[found] = cells.indices[winner]

    total = segments.sum(cells.data)
    return top, end - first, ratio(np.nan_to_num(most), total)
