"""Binning one column of numbers or levels."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmrisk.woe.binning import (
    _ways,
    best_places,
    count_cuts,
    cut_numbers,
    group_levels,
    psi_of,
    roundest,
    sort_column,
    weight_of_evidence,
)
from rfmrisk.woe.program import Rules, gain_of, partition
from tests.conftest import examples


def rules_for(bad, weight=None, **changes):
    weight = np.ones(len(bad)) if weight is None else weight
    total, bads = weight.sum(), weight[bad].sum()
    rules = Rules(6, 0.05 * total, 0.0, 64, total - bads, bads)
    return rules._replace(**changes)


def value_of(x, bad, cuts):
    codes = np.searchsorted(cuts, x, side="right")
    bads = np.bincount(codes, weights=bad, minlength=len(cuts) + 1)
    return weight_of_evidence(np.bincount(codes, minlength=len(cuts) + 1) - bads, bads, 0.5)[
        1
    ].sum()


def sample(n=5_000, seed=0, strength=0.7):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, rng.random(n) < 1 / (1 + np.exp(2 - strength * x))


def test_weight_changes_nothing_when_it_is_one():
    """A weight of 1 for all gives the same cuts as no weight."""
    x, bad = sample()
    rules = rules_for(bad)
    plain = cut_numbers(x, bad, None, "auto", rules)
    assert np.array_equal(plain, cut_numbers(x, bad, np.ones(len(x)), "auto", rules))


def test_weight_equals_repetition():
    """A weight of 3 is three customers."""
    x, bad = sample(2_000)
    weight = np.random.default_rng(1).integers(1, 4, len(x)).astype(float)
    repeated = np.repeat(np.arange(len(x)), weight.astype(int))
    assert np.array_equal(
        cut_numbers(x, bad, weight, "auto", rules_for(bad, weight)),
        cut_numbers(x[repeated], bad[repeated], None, "auto", rules_for(bad[repeated])),
    )


def test_row_order_changes_nothing():
    """Shuffled rows give the same cuts."""
    x, bad = sample()
    order = np.random.default_rng(3).permutation(len(x))
    cuts = cut_numbers(x, bad, None, "auto", rules_for(bad))
    assert np.array_equal(cuts, cut_numbers(x[order], bad[order], None, "auto", rules_for(bad)))


def test_an_increasing_map_changes_no_bin():
    """Bins depend on ranks alone."""
    x, bad = sample()
    rules = rules_for(bad)
    before = count_cuts(x, cut_numbers(x, bad, None, "auto", rules))
    after = count_cuts(np.sinh(x), cut_numbers(np.sinh(x), bad, None, "auto", rules))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("shape", ["auto", "peak", "valley", "auto_shape", None])
def test_few_distinct_values_are_solved_exactly(shape):
    """With up to max_prebins distinct values no set of cuts is better."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 9, 400).astype(float)
    bad = rng.random(400) < 0.2 + 0.05 * x
    found = value_of(x, bad, cut_numbers(x, bad, None, shape, rules_for(bad, max_bins=3)))
    for n_cuts in (1, 2):
        for cuts in combinations(np.arange(1.0, 9), n_cuts):
            codes = np.searchsorted(cuts, x, side="right")
            counts, bads = np.bincount(codes), np.bincount(codes, weights=bad)
            steps = np.sign(np.diff(bads / counts))
            monotone = abs(steps.sum()) == len(steps)
            shaped = shape != "auto" or monotone
            if shape in ("peak", "valley") and len(steps) == 2:
                shaped = monotone or steps[0] == (1 if shape == "peak" else -1)
            if shaped and counts.min() >= 20 and bads.min() > 0 and (counts - bads).min() > 0:
                assert value_of(x, bad, cuts) <= found + 1e-12


@pytest.mark.parametrize("least", [0.05, 0.2])
@pytest.mark.parametrize("seed", range(6))
def test_refining_loses_almost_nothing_to_the_exact_solution(seed, least):
    """A column of 600 values, searched around the best cuts, is within 0.2 % of the optimum."""
    x, bad = sample(600, seed, strength=0.5)
    rules = rules_for(bad, min_size=least * 600)
    exact = value_of(x, bad, cut_numbers(x, bad, None, "auto", rules._replace(max_prebins=600)))
    searched = value_of(x, bad, cut_numbers(x, bad, None, "auto", rules))
    assert exact * 0.998 <= searched <= exact + 1e-12


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", ["ascending", "descending"])
@pytest.mark.parametrize("seed", range(8))
def test_bins_on_the_hull_are_the_best_of_all_places(seed, shape, weighted):
    """The exact program over all places finds the bins that a hull gives, and passes no bound."""
    x, bad = sample(400, seed, strength=0.8)
    weight = np.random.default_rng(seed).uniform(0.5, 2, 400) if weighted else None
    rules = rules_for(
        bad, weight, min_size=(0.02, 0.05)[seed % 2] * (400 if weight is None else weight.sum())
    )
    rules = rules._replace(max_bins=2 + seed % 5, min_events=(0, 4)[seed % 2])
    _, places = sort_column(x, bad, weight)
    (way,) = _ways(places, shape, rules)
    exact = partition(*places.weights(slice(None)), way.phases, rules)
    assert exact.value <= way.bound + 1e-12
    on_hull = partition(*places.weights(way.corners), way.phases, rules)
    free = rules._replace(min_size=0.0, min_events=0.0)
    if on_hull.value == partition(*places.weights(way.corners), way.phases, free).value:
        found = best_places(places, shape, rules)
        assert np.array_equal(way.corners[on_hull.places], found)
        assert np.array_equal(exact.places, found)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("least", [0.05, 0.2])
@pytest.mark.parametrize("shape", ["auto", None])
@pytest.mark.parametrize("seed", range(3))
def test_no_cut_of_a_long_column_can_be_moved_for_the_better(seed, shape, least, weighted):
    """Any other of 400 places around a cut has less value, or breaks a rule."""
    n = 4_000
    x, bad = sample(n, seed, strength=0.5)
    x, bad = x[np.argsort(x)], bad[np.argsort(x)]
    weight = np.random.default_rng(seed).uniform(0.5, 2, n) if weighted else np.ones(n)
    rules = rules_for(bad, weight, min_size=least * weight.sum())
    cuts = cut_numbers(x, bad, weight if weighted else None, shape, rules)
    size, bads = (np.append(0, np.cumsum(w)) for w in (weight, weight * bad))
    ends = np.array([0, *np.searchsorted(x, cuts), n])

    def value(ends):
        n_all, n_bads = np.diff(size[ends]), np.diff(bads[ends])
        steps = np.sign(np.diff(n_bads / n_all))
        allowed = shape is None or abs(steps.sum()) == len(steps)
        return gain_of(n_all, n_bads, rules).sum() if allowed else -np.inf

    assert len(cuts) > 1
    for k, cut in enumerate(ends[1:-1], start=1):
        low, high = max(ends[k - 1] + 1, cut - 200), min(ends[k + 1], cut + 201)
        moved = [value(np.array([*ends[:k], place, *ends[k + 1 :]])) for place in range(low, high)]
        assert max(moved) <= value(ends) + 1e-11


@pytest.mark.parametrize(
    ("shape", "information", "sum_of_cuts"),
    [
        ("auto", 30.167552515, 70.8401),
        ("ascending", 11.5063187879, 27.4049),
        ("valley", 31.6756996445, 66.69009),
        ("peak", 31.5794199077, 77.8667),
        ("auto_shape", 32.2088451662, 74.3308),
        (None, 33.2524280212, 81.44071),
    ],
)
def test_cuts_of_long_columns_stay_what_they_are(shape, information, sum_of_cuts):
    """A search among some of the places finds the same cuts in every version and on every day."""
    found, cuts_found = 0.0, 0.0
    for seed in range(32):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(300, 3000)) if seed < 30 else 12_000
        x = rng.normal(size=n).round(int(rng.integers(1, 7)))
        rate = 1 / (1 + np.exp(2 - np.sin(3 * x) * rng.uniform(0.3, 1.5) - x * rng.normal()))
        bad = rng.random(n) < rate
        weight = rng.uniform(0.2, 3, n) if seed % 3 == 0 else None
        rules = rules_for(bad, weight)
        rules = rules._replace(
            max_bins=2 + seed % 7,
            min_size=(0.4, 1, 3)[seed % 3] * rules.min_size,
            min_events=(0, 5)[seed % 2],
            max_prebins=(8, 16, 24, 64)[seed % 4],
        )
        cuts = cut_numbers(x, bad, weight, shape, rules)
        found += value_of(x, bad, cuts)
        cuts_found += np.abs(cuts).sum()
    assert [found, cuts_found] == pytest.approx([information, sum_of_cuts], rel=1e-9)


def test_a_rate_that_always_rises_has_more_knots_than_pre_bins():
    """Of 500 values with a rate of their own each, the best cuts are found."""
    x = np.repeat(np.arange(500.0), 100)
    bad = np.tile(np.arange(100), 500) < x // 6 + 5
    rules = rules_for(bad)
    exact = value_of(x, bad, cut_numbers(x, bad, None, "auto", rules._replace(max_prebins=500)))
    assert value_of(x, bad, cut_numbers(x, bad, None, "auto", rules)) == pytest.approx(exact)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.2, 0.45]), st.booleans())
def test_bins_obey_size_and_direction(seed, share, ties):
    """Bins are large enough and their rates are strictly monotone, whatever the column."""
    rng = np.random.default_rng(seed)
    x = rng.standard_cauchy(300)
    x = np.round(x) if ties else x
    bad = rng.random(300) < 0.3
    cuts = cut_numbers(x, bad, None, "auto", rules_for(bad, min_size=share * 300))
    codes = count_cuts(x, cuts)
    counts = np.bincount(codes, minlength=len(cuts) + 1)
    rates = np.bincount(codes, weights=bad, minlength=len(cuts) + 1) / counts
    steps = np.sign(np.diff(rates))
    assert (np.diff(cuts) > 0).all()
    assert len(cuts) == 0 or counts.min() >= share * 300
    assert abs(steps.sum()) == len(steps)


def test_a_size_that_no_two_bins_can_have_leaves_one():
    """An impossible constraint gives the neutral result."""
    x, bad = sample(200)
    assert cut_numbers(x, bad, None, "auto", rules_for(bad, min_size=120)).size == 0


def test_a_half_can_be_split_in_the_middle_only():
    """The place that a tight size allows is among the candidates."""
    x, bad = np.arange(1_000.0), np.arange(1_000) % 10 < np.arange(1_000) // 200
    cuts = cut_numbers(x, bad, None, "auto", rules_for(bad, min_size=500))
    assert cuts.tolist() == [500]


def test_zeros_of_both_signs_are_one_value():
    """-0.0 and 0.0 are never separated."""
    x = np.array([-0.0, 0.0] * 50 + [1.0] * 100)
    assert sort_column(x, np.arange(200) % 2 == 0, None)[1].last == 2


def test_values_a_few_bits_apart_are_several():
    """Only what differs in the last bit alone counts as one value."""
    few = np.array([1.0, 1.0, 1.0, 1.0]) + np.finfo(float).eps * np.array([0, 1, 2, 4])
    _, places = sort_column(few, np.zeros(4, dtype=bool), None)
    assert places.starts.tolist() == [0, 2, 3, 4]


def test_sorts_negative_numbers():
    """The integers that are sorted keep the order of all floats."""
    x = np.array([3.5, -1e300, -2.0, 1e-300, -1e-300, 0.0, 1e300])
    keys, places = sort_column(x, np.zeros(7, bool), None)
    assert places.last == 7
    assert np.array_equal(keys, np.sort(keys))
    assert cut_numbers(
        np.repeat([-5.0, -2.0], 50),
        np.arange(100) % 50 < np.repeat([10, 30], 50),
        None,
        "auto",
        Rules(6, 5.0, 0.0, 64, 60.0, 40.0),
    ).tolist() == [-2]


@pytest.mark.parametrize(
    ("low", "high", "number"),
    [
        (34.987, 35.103, 35.0),
        (3.0, 4.0, 4.0),
        (-4.0, -3.0, -3.0),
        (-0.3, 0.2, 0.0),
        (0.0, 0.4, 0.4),
        (0.13, 0.26, 0.2),
        (0.19, 0.21, 0.2),
        (998.0, 1002.0, 1000.0),
        (1234.0, 1501.0, 1500.0),
        (95.0, 130.0, 100.0),
        (-1502.0, -1499.0, -1500.0),
        (0.00123, 0.00131, 0.0013),
        (123456.0, 123457.0, 123457.0),
        (7.9e-12, 8.2e-12, 8e-12),
        (4.4e15, 5.6e15, 5e15),
    ],
)
def test_roundest_has_the_fewest_digits(low, high, number):
    """Of all numbers above the one and up to the other, the one that is written the shortest."""
    assert roundest(low, high) == number


@settings(max_examples=examples(200))
@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e6))
def test_roundest_separates(low, width):
    """The cut lies above the value before it and not above the value after it."""
    high = low + width
    if high > low:
        assert low < roundest(low, high) <= high


@settings(max_examples=examples(100))
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40, unique=True))
def test_counting_cuts_is_a_binary_search(cuts):
    """Few and many cuts give the bins that a binary search gives."""
    cuts = np.sort(cuts)
    x = np.concatenate([cuts, cuts + 0.01, [-1e9, 1e9]])
    assert np.array_equal(count_cuts(x, cuts), np.searchsorted(cuts, x, side="right"))


def test_levels_are_grouped_optimally():
    """No other partition of the levels into two groups has a greater information value."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, 600)
    bad = rng.random(600) < np.array([0.1, 0.5, 0.2, 0.6, 0.3, 0.4])[codes]
    rules = rules_for(bad, max_bins=2)
    groups = group_levels(codes, 6, bad, None, rules, min_level_size=0)

    def value(group):
        bads = np.bincount(group[codes], weights=bad, minlength=2)
        return weight_of_evidence(np.bincount(group[codes], minlength=2) - bads, bads, 0.5)[1].sum()

    others = [np.array([k >> level & 1 for level in range(6)]) for k in range(64)]
    assert value(groups) == pytest.approx(max(map(value, others)))


def test_groups_of_levels_are_numbered_from_the_safest():
    """The bad rate rises with the number of the bin."""
    codes = np.repeat(np.arange(3), 100)
    bad = np.arange(300) % 100 < np.repeat([60, 10, 30], 100)
    groups = group_levels(codes, 3, bad, None, rules_for(bad), min_level_size=0)
    assert groups.tolist() == [2, 0, 1]


def test_weighted_levels_are_repeated_levels():
    """Of whatever size and weight; no unit of weight is too small."""
    rng = np.random.default_rng(4)
    codes = rng.choice(7, 900, p=np.array([30, 20, 20, 10, 10, 8, 2]) / 100)
    bad = rng.random(900) < np.array([0.3, 0.1, 0.5, 0.2, 0.6, 0.4, 0])[codes]
    weight = rng.integers(1, 5, 900) ** (1 + bad)
    repeated = np.repeat(np.arange(900), weight)
    rules = rules_for(bad[repeated], max_bins=4)
    expected = group_levels(codes[repeated], 7, bad[repeated], None, rules, min_level_size=90)
    assert set(expected.tolist()) == {0, 1, 2, 3}
    for unit in (1, 1e-4):
        rules = rules_for(bad, weight * unit, max_bins=4)
        found = group_levels(codes, 7, bad, weight * unit, rules, min_level_size=90 * unit)
        assert found.tolist() == expected.tolist()


def test_a_level_of_the_least_size_is_its_own():
    """Only smaller levels are pooled."""
    codes = np.repeat(np.arange(3), [100, 10, 10])
    bad = np.concatenate([np.arange(100) < 40, np.arange(10) < 1, np.arange(10) < 9])
    rules = rules_for(bad, min_size=0.0)
    assert group_levels(codes, 3, bad, None, rules, min_level_size=10).tolist() == [1, 0, 2]
    pooled = group_levels(codes, 3, bad, None, rules, min_level_size=10.5)
    assert pooled[1] == pooled[2]


def test_rare_levels_share_a_group():
    """Levels under the least size are pooled, whatever their own rates."""
    codes = np.concatenate([np.repeat([0, 1], 100), [2, 3, 4]])
    bad = np.concatenate([np.arange(100) < 50, np.arange(100) < 10, [True, False, True]])
    groups = group_levels(codes, 5, bad, None, rules_for(bad), min_level_size=10)
    assert len(set(groups[2:].tolist())) == 1


def test_weight_of_evidence_by_hand():
    """Logs of the ratio of shares; nearer the average where goods or bads lack, 0 where both do."""
    woe, iv = weight_of_evidence([30, 10, 0, 2, 0], [10, 20, 5, 0, 0], 0.5)
    p = np.array([30, 10, 0.5 * 42 / 35, 2 + 0.5 * 42 / 35]) / 42
    q = np.array([10, 20, 5.5, 0.5]) / 35
    assert woe.tolist() == pytest.approx([*np.log(p / q), 0])
    assert iv.tolist() == pytest.approx([*((p - q) * np.log(p / q)), 0])


@settings(max_examples=examples(200))
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_information_value_is_never_negative_and_flips_with_y(cells):
    """IV >= 0 in every bin; swapping goods and bads swaps the sign of every WoE."""
    goods, bads = np.array(cells, dtype=float).T
    if goods.sum() == 0 or bads.sum() == 0:
        return
    woe, iv = weight_of_evidence(goods, bads, 0.5)
    flipped, same = weight_of_evidence(bads, goods, 0.5)
    assert np.isfinite(woe).all()
    assert (iv >= 0).all()
    assert flipped == pytest.approx(-woe)
    assert same == pytest.approx(iv)


def test_psi_by_hand():
    """Differences times log ratios; zero in one sample is half a row, in both nothing."""
    before, after = np.array([10, 19.1, 0, 0, 0.9, 10]), np.array([5, 0, 4, 0, 0, 11])
    p = np.array([10, 19.1, 0.5, 0.9, 10]) / 40
    q = np.array([5, 0.5, 4, 0.5, 11]) / 20
    assert psi_of(before, after) == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert psi_of(after, before) == pytest.approx(psi_of(before, after))
    light = psi_of(np.array([0.2, 0.8]), np.array([0.6, 0.4]))
    assert light == pytest.approx(psi_of(np.array([20.0, 80]), np.array([60.0, 40])))


def test_psi_is_symmetric_and_zero_for_the_same():
    """The index does not say which sample came first."""
    a, b = np.array([10.0, 20, 0, 5]), np.array([5.0, 30, 2, 0])
    assert psi_of(a, 3 * a) == pytest.approx(0, abs=0.2)
    assert psi_of(a[:2], 3 * a[:2]) == pytest.approx(0)
    assert psi_of(a, b) == pytest.approx(psi_of(b, a))
