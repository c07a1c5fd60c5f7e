"""Arithmetic on contiguous segments of flat arrays: the only place that walks offsets.

A ragged table of n customers lies in flat arrays of m transactions, customer after customer. A
segment is a half-open range ``[start, end)`` of such an array; every function here takes the
starts and ends of n segments and works on all of them at once, without a Python loop over
customers. The result for one segment depends on the values in it alone, to the last bit: a
segment is reduced by itself, never as a difference of running totals.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

BLOCK = 2**16  # transactions at once, so that all that is made of them stays in the cache

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


def first_at_or_after(times: Ints, starts: Ints, ends: Ints, timestamps: Ints) -> Ints:
    """Return, for each sorted segment of ``times``, the first position not before its timestamp.

    A binary search in all segments at once; a segment with no such time gives its end. Timestamps
    of shape (k, n) ask for k timestamps in each of n segments.
    """
    before = np.empty(timestamps.shape, dtype=np.int64)
    before[...] = starts - 1  # the last position known to lie before the timestamp
    step = 1 << int((ends - starts).max(initial=0)).bit_length()
    while step := step >> 1:
        further = before + step
        earlier = times.take(further, mode="clip") < timestamps
        earlier &= further < ends
        before += step * earlier
    return before + 1


def take(values: NDArray, order: NDArray[np.integer]) -> NDArray:
    """Return ``values[order]``; Arrow gathers several times faster than NumPy."""
    return pa.array(values).take(pa.array(order)).to_numpy()


def tables(starts: Ints, ends: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield the segments of each length as a matrix of positions, with their numbers before it.

    Short rows of a matrix are sorted several times faster than one long array.
    """
    lengths = ends - starts
    counts = np.bincount(lengths)
    # NumPy sorts integers of 16 bits by counting.
    short: Any = np.uint16 if len(counts) <= 2**16 else np.int64
    by_length = np.argsort(lengths.astype(short), kind="stable")
    distinct = np.flatnonzero(counts)
    after = np.cumsum(counts[distinct])
    for length, begin, end in zip(distinct, after - counts[distinct], after, strict=True):
        rows = by_length[begin:end]
        yield rows, starts[rows, None] + np.arange(length)


def blocks(offsets: Ints) -> Iterator[slice]:
    """Cut the groups between offsets into runs of about `BLOCK` entries, at least a group each."""
    cuts = np.searchsorted(offsets, np.arange(offsets[0], offsets[-1], BLOCK), side="right") - 1
    cuts = np.unique(np.concatenate(([0], cuts, [len(offsets) - 1])))
    yield from map(slice, cuts[:-1].tolist(), cuts[1:].tolist())


def sort_groups(times: Ints, order: NDArray[np.integer], offsets: Ints) -> Ints:
    """Sort an order by time within each of its groups, none empty, in place; equals stay.

    Returns the times in the new order.
    """
    sorted_ = np.empty_like(times)
    for block in blocks(offsets):
        edges = offsets[block.start : block.stop + 1]
        ours = slice(edges[0], edges[-1])
        edges = edges - edges[0]
        keys = sorted_[ours] = take(times, order[ours])
        falling = keys[1:] < keys[:-1]
        falling[edges[1:-1] - 1] = False
        if not falling.any():
            continue
        lowest = keys.min()
        bits = (int(keys.max()) - int(lowest)).bit_length()
        shifted = keys - lowest if bits < 63 else keys
        moved = np.arange(len(keys))
        for _, places in tables(edges[:-1], edges[1:]):
            moved[places] = places[:, :1] + _sorting(shifted[places], bits)
        sorted_[ours], order[ours] = keys[moved], order[ours][moved]
    return sorted_


def _sorting(keys: Ints, bits: int) -> Ints:
    """Return the stable order of each row of keys; below 63 bits they are not negative."""
    length = keys.shape[1]
    shift = (length - 1).bit_length()
    if bits + shift > 63:
        return np.argsort(keys, axis=1, kind="stable")
    # With its place in the lowest bits a key is sorted by value, faster than by index.
    keys = keys << shift | np.arange(length)
    keys.sort(axis=1)
    return keys & (1 << shift) - 1


def positions(starts: Ints, ends: Ints) -> Ints:
    """Return the positions covered by the segments, one segment after the other."""
    lengths = ends - starts
    first = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum(), dtype=np.int64) + np.repeat(starts - first, lengths)


class Segments:
    """Segments of flat arrays, laid out once to be reduced many times.

    Parameters
    ----------
    starts, ends : ndarrays of shape (n,)
    """

    def __init__(self, starts: Ints, ends: Ints) -> None:
        self._n = len(starts)
        filled = ends > starts
        self._filled = None if filled.all() else np.flatnonzero(filled)
        if self._filled is not None:
            starts, ends = starts[self._filled], ends[self._filled]
        self._starts, self._ends = starts, ends
        self._edges, self._step = starts, 1
        self._size = int(ends.max(initial=0))  # of the arrays, at least
        # ufunc.reduceat works from one edge to the next, and from the last to the end. Ranges
        # between the segments, where there are any, are computed too and thrown away.
        if not np.array_equal(starts[1:], ends[:-1]):
            self._edges, self._step = np.empty(2 * len(starts), dtype=np.int64), 2
            self._edges[::2], self._edges[1::2] = starts, ends
            # No edge may be an array's length: the last is left out then, or the array grows.
            if self._edges[:-1].max() < self._size == ends[-1]:
                self._edges = self._edges[:-1]
            else:
                self._size += 1

    def sum(self, values: NDArray) -> NDArray:
        """Sum of each segment; 0 for an empty one."""
        return self._all(self._reduce(np.add, values), 0)

    def min(self, values: Floats) -> Floats:
        """Smallest value of each segment; NaN for an empty one."""
        return self._all(self._reduce(np.minimum, values), np.nan)

    def max(self, values: Floats) -> Floats:
        """Largest value of each segment; NaN for an empty one."""
        return self._all(self._reduce(np.maximum, values), np.nan)

    def median(self, values: Floats) -> Floats:
        """Median of each segment; NaN for an empty one."""
        medians = np.empty(len(self._starts))
        for rows, places in tables(self._starts, self._ends):
            table = values[places]
            table.sort(axis=1)
            half = places.shape[1] // 2
            medians[rows] = (table[:, -half - 1] + table[:, half]) / 2
        return self._all(medians, np.nan)

    def _reduce(self, ufunc: np.ufunc, values: NDArray) -> NDArray:
        if not len(self._edges):
            return values[:0]
        if len(values) < self._size:
            values = np.append(values, values[-1])
        return ufunc.reduceat(values[: self._size], self._edges)[:: self._step]

    def _all(self, of_filled: NDArray, empty: float) -> NDArray:
        if self._filled is None:
            return of_filled
        result = np.full(self._n, empty, dtype=of_filled.dtype)
        result[self._filled] = of_filled
        return result


def segment_of(starts: Ints, ends: Ints) -> Ints:
    """Return, for each position covered by the segments, the number of its segment."""
    return np.repeat(np.arange(len(starts)), ends - starts)


def ratio(numerator: NDArray, denominator: NDArray) -> Floats:
    """Divide element by element; NaN where the denominator is 0."""
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result
