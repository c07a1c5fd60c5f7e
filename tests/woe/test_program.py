"""The exact dynamic program."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmrisk.woe.program import SHAPES, Rules, gain_of, partition
from tests.conftest import examples


def follows(rates, phases):
    """Say whether bad rates have a shape, phases possibly empty."""
    steps = np.sign(np.diff(rates))
    if phases == (0,):
        return True
    if len(phases) == 1:
        return bool((steps == phases[0]).all())
    first, second = phases
    return any(
        (steps[:turn] == first).all() and (steps[turn:] == second).all()
        for turn in range(len(steps) + 1)
    )


def brute_force(size, bads, phases, rules):
    """Try every set of cuts."""
    best = -np.inf
    for n_cuts in range(1, rules.max_bins):
        for cuts in combinations(range(1, len(size) - 1), n_cuts):
            ends = [0, *cuts, len(size) - 1]
            n_all, n_bads = np.diff(size[ends]), np.diff(bads[ends])
            gain = gain_of(n_all, n_bads, rules).sum()
            if follows(n_bads / n_all, phases):
                best = max(best, gain)
    return best


@st.composite
def columns(draw):
    n = draw(st.integers(2, 8))
    weighted = draw(st.booleans())
    unit = st.floats(0.1, 5) if weighted else st.integers(1, 5)
    cells = draw(st.lists(st.tuples(unit, unit, st.integers(0, 2)), min_size=n, max_size=n))
    goods = np.array([g * (kind != 1) for g, _, kind in cells], dtype=float)
    bads = np.array([b * (kind != 2) for _, b, kind in cells], dtype=float)
    goods[0] += 1
    bads[-1] += 1
    rules = Rules(
        max_bins=draw(st.integers(1, 5)),
        min_size=draw(st.sampled_from([0.0, 0.1, 0.3])) * (goods.sum() + bads.sum()),
        min_events=draw(st.sampled_from([0.0, 1.0])),
        max_prebins=64,
        total_goods=goods.sum(),
        total_bads=bads.sum(),
    )
    size = np.append(0.0, np.cumsum(goods + bads))
    return size, np.append(0.0, np.cumsum(bads)), rules


@pytest.mark.parametrize("shape", list(SHAPES))
@settings(max_examples=examples(150), deadline=None)
@given(columns())
def test_equals_brute_force(shape, column):
    """No set of cuts that obeys the rules has a greater information value."""
    size, bads, rules = column
    for phases in SHAPES[shape]:
        best = brute_force(size, bads, phases, rules)
        found = partition(size, bads, phases, rules)
        single = gain_of(np.diff(size[[0, -1]]), np.diff(bads[[0, -1]]), rules).sum()
        if len(found.places):
            assert found.value == pytest.approx(best, abs=1e-9)
        else:
            assert best <= max(single, 0) + 1e-9


@settings(max_examples=examples(150), deadline=None)
@given(columns(), st.sampled_from(list(SHAPES)))
def test_obeys_the_rules(column, shape):
    """Every bin has its size and its events, and the rates have the shape."""
    size, bads, rules = column
    for phases in SHAPES[shape]:
        found = partition(size, bads, phases, rules)
        if not len(found.places):
            continue
        ends = [0, *found.places, len(size) - 1]
        n_all, n_bads = np.diff(size[ends]), np.diff(bads[ends])
        assert len(n_all) <= rules.max_bins
        assert (n_all >= rules.min_size * (1 - 1e-9)).all()
        assert (n_bads > 0).all()
        assert (n_all - n_bads > 0).all()
        assert (n_bads >= rules.min_events).all()
        assert follows(n_bads / n_all, phases)
        assert found.value == pytest.approx(gain_of(n_all, n_bads, rules).sum())


def test_state_is_the_last_bin():
    """A worse start that ends with a lower rate may be what a later bin needs."""
    goods, bads = np.array([6.0, 4, 7, 3]), np.array([2.0, 4, 5, 9])
    size = np.append(0, np.cumsum(goods + bads))
    cumulative = np.append(0, np.cumsum(bads))
    rules = Rules(4, 0.0, 0.0, 64, goods.sum(), bads.sum())
    assert partition(size, cumulative, (1,), rules).value == pytest.approx(
        brute_force(size, cumulative, (1,), rules)
    )


def test_a_column_too_small_for_a_single_bin_stays_whole():
    """Where not even one bin obeys the rules there is one all the same, worth nothing."""
    rules = Rules(6, 20.0, 0.0, 64, 6.0, 4.0)
    found = partition(np.array([0.0, 5, 10]), np.array([0.0, 3, 4]), (1,), rules)
    assert found.places.tolist() == []
    assert found.places.dtype == np.intp
    assert found.value == 0


def test_a_bin_that_just_obeys_is_allowed():
    """Least sizes and least events may be met exactly, and not be missed."""
    rules = Rules(6, 12.0, 5.0, 64, 20.0, 20.0)
    gain = gain_of(np.array([12.0, 12, 12, 12, 11]), np.array([5.0, 7, 4, 8, 5]), rules)
    assert np.isfinite(gain).tolist() == [True, True, False, False, False]


@st.composite
def columns_over_time(draw):
    """Make a column whose weights lie in up to three periods, and a price."""
    n, p = draw(st.integers(2, 7)), draw(st.integers(1, 3))
    counts = st.lists(st.integers(0, 4), min_size=2 * n * p, max_size=2 * n * p)
    goods, bads = np.array(draw(counts), dtype=float).reshape(2, p, n)
    goods[0, 0] += 1
    bads[0, -1] += 1
    rules = Rules(
        max_bins=draw(st.integers(1, 5)),
        min_size=draw(st.sampled_from([0.0, 0.1])) * (goods + bads).sum(),
        min_events=0.0,
        max_prebins=64,
        total_goods=goods.sum(),
        total_bads=bads.sum(),
        price=draw(st.sampled_from([0.01, 0.1, np.inf])),
    )
    size, bads = (np.insert(part.cumsum(axis=1), 0, 0, axis=1) for part in (goods + bads, bads))
    return size, bads, rules


def paid(size, bads, ends, rules):
    """Pay for each period in which two neighbours are the other way round, one by one."""
    total = 0.0
    n, b = np.diff(size[:, ends]), np.diff(bads[:, ends])
    overall = b.sum(axis=0) / n.sum(axis=0)
    for p in range(len(n)):
        for k in range(len(ends) - 2):
            if n[p, k] > 0 and n[p, k + 1] > 0:
                step = b[p, k + 1] / n[p, k + 1] - b[p, k] / n[p, k]
                if step * np.sign(overall[k + 1] - overall[k]) < -1e-12:
                    total += rules.price
    return total


@pytest.mark.parametrize("shape", list(SHAPES))
@settings(max_examples=examples(100), deadline=None)
@given(columns_over_time())
def test_equals_brute_force_where_reversals_have_a_price(shape, column):
    """No set of cuts is worth more, less the price of each period that goes against its order."""
    by_period, bads_by_period, rules = column
    size, bads = by_period.sum(axis=0), bads_by_period.sum(axis=0)
    for phases in SHAPES[shape]:
        best = -np.inf
        for n_cuts in range(1, rules.max_bins):
            for cuts in combinations(range(1, len(size) - 1), n_cuts):
                ends = [0, *cuts, len(size) - 1]
                n_all, n_bads = np.diff(size[ends]), np.diff(bads[ends])
                gain = gain_of(n_all, n_bads, rules).sum()
                if gain > -np.inf and follows(n_bads / n_all, phases):
                    best = max(best, gain - paid(by_period, bads_by_period, ends, rules))
        found = partition(size, bads, phases, rules, (by_period, bads_by_period))
        if len(found.places):
            assert found.value == pytest.approx(best, abs=1e-9)
            ends = [0, *found.places, len(size) - 1]
            value = gain_of(np.diff(size[ends]), np.diff(bads[ends]), rules).sum()
            value -= paid(by_period, bads_by_period, ends, rules)
            assert found.value == pytest.approx(value, abs=1e-9)
        else:
            single = gain_of(np.diff(size[[0, -1]]), np.diff(bads[[0, -1]]), rules).sum()
            assert best <= max(single, 0) + 1e-9
