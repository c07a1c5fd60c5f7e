"""Arithmetic on contiguous segments of flat arrays: the only place that walks offsets.

A ragged table of n customers lies in flat arrays of m transactions, customer after customer. A
segment is a half-open range ``[start, end)`` of such an array; every function here takes the
starts and ends of n segments and works on all of them at once, without a Python loop over
customers. The result for one segment depends on the values in it alone, to the last bit: a
segment is reduced by itself, never as a difference of running totals.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def group(codes: NDArray[np.integer], n_groups: int) -> tuple[NDArray[np.integer], Ints]:
    """Return the stable order that sorts by group code, and the offsets of the groups.

    A counting sort in O(m), through the conversion of a sparse matrix with one entry a column.
    """
    m = len(codes)
    index: Any = np.int32 if m < 2**31 - 1 else np.int64
    columns = np.arange(m + 1, dtype=index)
    entries = np.ones(m, dtype=np.int8)
    codes = codes.astype(index, copy=False)
    by_row = sparse.csc_array((entries, codes, columns), shape=(n_groups, m)).tocsr()
    return by_row.indices, by_row.indptr.astype(np.int64)


def first_at_or_after(times: Ints, starts: Ints, ends: Ints, moments: Ints) -> Ints:
    """Return, for each sorted segment of ``times``, the first position not before its moment.

    A binary search in all segments at once; a segment with no such time gives its end.
    """
    low, high = starts.copy(), ends.copy()
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) // 2
        before = times[middle] < moments[open_]
        low[open_[before]] = middle[before] + 1
        high[open_[~before]] = middle[~before]
        open_ = open_[low[open_] < high[open_]]
    return low


def positions(starts: Ints, ends: Ints) -> Ints:
    """Return the positions covered by the segments, one segment after the other."""
    lengths = ends - starts
    first = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum(), dtype=np.int64) + np.repeat(starts - first, lengths)


def _reduce(ufunc: np.ufunc, values: NDArray, starts: Ints, ends: Ints, empty: float) -> NDArray:
    result = np.full(len(starts), empty, dtype=values.dtype)
    filled = np.flatnonzero(ends > starts)
    if len(filled):
        # reduceat works from one index to the next, so the ranges between the segments are
        # computed too and thrown away. No index may be the array's length: where the last
        # segment alone ends there its end is left out, else the array gets one value more.
        edges = np.empty(2 * len(filled), dtype=np.int64)
        edges[::2], edges[1::2] = starts[filled], ends[filled]
        if edges[:-1].max() == len(values):
            values = np.append(values, values[-1])
        elif edges[-1] == len(values):
            edges = edges[:-1]
        result[filled] = ufunc.reduceat(values, edges)[::2]
    return result


def segment_sum(values: NDArray, starts: Ints, ends: Ints) -> NDArray:
    """Sum of each segment; 0 for an empty one."""
    return _reduce(np.add, values, starts, ends, 0)


def segment_min(values: Floats, starts: Ints, ends: Ints) -> Floats:
    """Smallest value of each segment; NaN for an empty one."""
    return _reduce(np.minimum, values, starts, ends, np.nan)


def segment_max(values: Floats, starts: Ints, ends: Ints) -> Floats:
    """Largest value of each segment; NaN for an empty one."""
    return _reduce(np.maximum, values, starts, ends, np.nan)


def segment_of(starts: Ints, ends: Ints) -> Ints:
    """Return, for each position covered by the segments, the number of its segment."""
    return np.repeat(np.arange(len(starts)), ends - starts)


def ratio(numerator: NDArray, denominator: NDArray) -> Floats:
    """Divide element by element; NaN where the denominator is 0."""
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result
