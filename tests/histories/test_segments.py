"""Arithmetic on segments equals a loop over the segments."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rfmrisk.histories.segments import (
    Segments,
    first_at_or_after,
    group,
    positions,
    ratio,
    segment_of,
    sort_groups,
)


@st.composite
def segments(draw):
    """Values, and segments of them in ascending order, with empty ones and gaps between them."""
    values = draw(hnp.arrays(np.float64, st.integers(0, 20), elements=st.integers(-9, 9)))
    n = draw(st.integers(0, 6))
    edges = draw(st.lists(st.integers(0, len(values)), min_size=2 * n, max_size=2 * n))
    edges = np.sort(np.array(edges, dtype=np.int64))
    return values, edges[::2], edges[1::2]


def _loop(function, values, starts, ends, empty):
    pieces = [values[start:end] for start, end in zip(starts, ends, strict=True)]
    return np.array([function(piece) if len(piece) else empty for piece in pieces])


@given(segments())
def test_reductions_equal_a_loop(drawn):
    """Each reduction equals that of each slice; an empty one has 0 or NaN."""
    values, starts, ends = drawn
    segments = Segments(starts, ends)
    np.testing.assert_array_equal(segments.sum(values), _loop(np.sum, *drawn, 0))
    np.testing.assert_array_equal(segments.min(values), _loop(np.min, *drawn, np.nan))
    np.testing.assert_array_equal(segments.max(values), _loop(np.max, *drawn, np.nan))
    np.testing.assert_array_equal(segments.median(values), _loop(np.median, *drawn, np.nan))


def test_long_segments_have_medians_beside_short_ones():
    """Lengths beyond 16 bits are not taken for what is left of them."""
    ends = np.cumsum([2**16 + 3, 3, 2**17 + 3, 1])
    starts = np.append(0, ends[:-1])
    values = np.random.default_rng(0).normal(size=ends[-1])
    expected = _loop(np.median, values, starts, ends, np.nan)
    np.testing.assert_array_equal(Segments(starts, ends).median(values), expected)


@given(segments(), st.randoms(use_true_random=False))
def test_segments_may_be_in_any_order(drawn, random):
    """Segments that are shuffled, and given twice, are reduced as they would be alone."""
    values, starts, ends = drawn
    order = 2 * list(range(len(starts)))
    random.shuffle(order)
    places = np.array(order, dtype=np.int64)
    total = Segments(starts, ends).sum(values)
    np.testing.assert_array_equal(Segments(starts[places], ends[places]).sum(values), total[places])


@given(segments(), st.lists(st.integers(-10, 10), min_size=1, max_size=3))
def test_binary_search_equals_searchsorted(drawn, moments):
    """The first position not before a moment is that of searchsorted in each sorted slice."""
    values, starts, ends = drawn
    times = values.astype(np.int64)
    for start, end in zip(starts, ends, strict=True):
        times[start:end].sort()
    asked = np.repeat(np.array(moments)[:, None], len(starts), axis=1)
    found = first_at_or_after(times, starts, ends, asked)
    for row, moment in zip(found, moments, strict=True):
        places = zip(starts, ends, strict=True)
        expected = [start + np.searchsorted(times[start:end], moment) for start, end in places]
        np.testing.assert_array_equal(row, np.array(expected, dtype=np.int64))


@given(segments())
def test_positions_are_the_ranges_one_after_the_other(drawn):
    """Positions cover the segments, and each knows the number of its segment."""
    _, starts, ends = drawn
    ranges = [range(start, end) for start, end in zip(starts, ends, strict=True)]
    assert positions(starts, ends).tolist() == [place for places in ranges for place in places]
    numbers = [number for number, places in enumerate(ranges) for _ in places]
    assert segment_of(starts, ends).tolist() == numbers


@given(st.lists(st.integers(0, 5), max_size=30))
def test_group_is_a_stable_sort(codes):
    """Grouping sorts by code, keeps the order within a code, and tells where codes begin."""
    codes = np.array(codes, dtype=np.int64)
    order, offsets = group(codes, 6)
    np.testing.assert_array_equal(order, np.argsort(codes, kind="stable"))
    np.testing.assert_array_equal(offsets, np.searchsorted(np.sort(codes), np.arange(7)))


@pytest.mark.parametrize("span", [3, 10**6, 2**60, 2**63 - 1])
@pytest.mark.parametrize("block", [4, 2**16])
@given(data=st.data())
def test_groups_are_sorted_stably(span, block, data):
    """Sorting within groups is a stable sort of each, however far apart the times are."""
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    some = st.integers(-span - 1, span) | st.sampled_from([-span - 1, 0, span])
    times = data.draw(hnp.arrays(np.int64, sum(lengths), elements=some))
    first = np.arange(len(times))[::-1]
    order = first.copy()
    with mock.patch("rfmrisk.histories.segments.BLOCK", block):
        found = sort_groups(times, order, offsets)
    groups = np.repeat(np.arange(len(lengths)), lengths)
    expected = first[np.lexsort((times[first], groups))]
    np.testing.assert_array_equal(order, expected)
    np.testing.assert_array_equal(found, times[expected])


def test_a_sum_depends_on_its_own_segment_alone():
    """A segment's sum is the same to the last bit whatever lies before it and after it."""
    rng = np.random.default_rng(0)
    mine = rng.lognormal(0, 5, 1_000)
    alone = Segments(np.array([0]), np.array([1_000])).sum(mine)
    for before in range(20):
        values = np.concatenate((rng.lognormal(0, 9, before), mine, rng.lognormal(0, 9, 5)))
        starts, ends = np.array([0, before, before + 1_000]), np.array([before, before + 1_000, -1])
        ends[-1] = len(values)
        assert Segments(starts, ends).sum(values)[1] == alone[0]


def test_a_ratio_to_nothing_is_missing():
    """Dividing by zero gives NaN without a warning."""
    np.testing.assert_array_equal(ratio(np.array([1, 0]), np.array([2, 0])), [0.5, np.nan])
