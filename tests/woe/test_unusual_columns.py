"""Columns that people have: pure bins, leaks, long codes, odd names, rows of every form."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmrisk import Scorecard, WOEEncoder
from rfmrisk.metrics import information_value
from rfmrisk.woe.binning import weight_of_evidence
from tests.conftest import examples


class TestPureBins:
    """Bins that hold goods alone, or bads alone."""

    @settings(max_examples=examples(200))
    @given(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=8),
        st.floats(0.01, 20),
        st.sampled_from([1e-6, 1.0, 1e6]),
    )
    def test_tend_to_the_average_and_never_past_it(self, cells, smoothing, unit):
        """Goods alone are never riskier than average, bads alone never safer, in any unit."""
        goods, bads = np.array(cells, dtype=float).T
        if goods.sum() == 0 or bads.sum() == 0:
            return
        woe, iv = weight_of_evidence(goods * unit, bads * unit, smoothing * unit)
        assert (woe[bads == 0] >= 0).all()
        assert (woe[goods == 0] <= 0).all()
        assert (iv >= 0).all()
        more, _ = weight_of_evidence(goods * unit, bads * unit, 2 * smoothing * unit)
        assert (np.abs(more) <= np.abs(woe) + 1e-12).all()
        plain, _ = weight_of_evidence(goods, bads, smoothing)
        assert woe == pytest.approx(plain, abs=1e-9)

    @pytest.mark.parametrize("share", [0.5, 0.01])
    @pytest.mark.parametrize("unit", [1.0, 1e-5])
    def test_of_missing_values(self, share, unit):
        """A few customers without a value, all of them good, are a little safer than average."""
        n = 10_000
        x, y = np.arange(n, dtype=float), (np.arange(n) % round(1 / share) == 0).astype(int)
        x[np.flatnonzero(y == 0)[:20]] = np.nan
        weight = np.full(n, unit)
        table = WOEEncoder().fit(pd.DataFrame({"x": x}), y, weight).binning_table("x")
        woe = table.set_index("bin").loc["missing", "woe"]
        assert 0 <= woe < 4

    @pytest.mark.parametrize("events", [0, 30])
    def test_the_unit_of_weights_changes_no_bin(self, events):
        """min_bin_events is in mean weights, as everything that counts customers is."""
        rng = np.random.default_rng(0)
        X = pd.DataFrame({"x": rng.normal(size=800), "c": rng.choice(list("abc"), 800)})
        y = (rng.random(800) < 1 / (1 + np.exp(1 - X["x"]))).astype(int)
        weight = rng.uniform(0.5, 2, 800)
        encoder = WOEEncoder(min_bin_events=events)
        one, *others = (encoder.fit(X, y, weight * k).transform(X) for k in (1, 1e-3, 1e4))
        for other in others:
            np.testing.assert_allclose(other, one, rtol=1e-9)


class TestLeaks:
    """Columns that know the outcome."""

    @pytest.mark.parametrize("bad_share", [0.5, 0.01])
    @pytest.mark.parametrize(
        "column",
        [
            lambda y: y,
            lambda y: -3.5 * y,
            lambda y: np.where(y, "defaulted", "repaid"),
            lambda y: y.astype(bool),
            lambda y: pd.Categorical(np.where(y, np.where(np.arange(len(y)) % 2, "a", "b"), "c")),
            lambda y: np.where(y, np.nan, np.arange(len(y))),
            lambda y: np.where(y, 1e6 + np.arange(len(y)), np.arange(len(y))),
        ],
    )
    def test_are_seen(self, bad_share, column):
        """Their information value is large, min_iv keeps them, and fitting names them."""
        rng = np.random.default_rng(0)
        y = (rng.random(2_000) < bad_share).astype(int)
        X = pd.DataFrame({"leak": column(y), "noise": rng.normal(size=len(y))})
        encoder = WOEEncoder(min_iv=0.5)
        with pytest.warns(UserWarning, match="each bin of 'leak' holds goods alone or bads alone"):
            encoder.fit(X, y)
        assert encoder.separating_ == ["leak"]
        assert encoder.get_feature_names_out().tolist() == ["leak"]
        assert encoder.information_value_[0] > 3

    def test_of_a_metric(self):
        """The target itself has a large information value."""
        y = np.array([0, 1] * 100)
        with pytest.warns(UserWarning, match="knows the outcome"):
            assert information_value(y, y) > 3

    def test_ids_are_no_leak(self):
        """A column that names each customer separates the classes by memory alone."""
        rng = np.random.default_rng(0)
        X = pd.DataFrame({"id": [f"c{k}" for k in range(400)], "x": rng.normal(size=400)})
        assert WOEEncoder().fit(X, rng.integers(0, 2, 400)).separating_ == []

    def test_a_shape_that_forbids_it_is_kept(self):
        """A column that rises with risk is not cut where the bad rate has to fall."""
        y = np.array([0] * 50 + [1] * 50)
        encoder = WOEEncoder(monotonic="descending").fit(pd.DataFrame({"x": np.arange(100.0)}), y)
        assert encoder.separating_ == []


class TestNames:
    """Categories and codes keep names of their own."""

    def test_categories_that_are_called_as_other_bins(self):
        """They stand in quotes, and every bin has one name."""
        rng = np.random.default_rng(0)
        s = rng.choice(["missing", "unseen", "total", "a, b", "a", "b", " a", ""], 2_000)
        s = pd.Series(s).where(rng.random(2_000) < 0.9)
        rate = 0.1 + 0.09 * pd.Categorical(s).codes
        encoder = WOEEncoder(max_bins=9, min_bin_size=0.001, max_prebins=9)
        y = (rng.random(2_000) < rate).astype(int)
        bins = encoder.fit(pd.DataFrame({"s": s}), y).binning_table("s")["bin"]
        assert bins.is_unique
        assert {'"missing"', "missing", "unseen", "total"} <= set(", ".join(bins).split(", "))

    @pytest.mark.parametrize("dtype", ["int64", "uint64", "object", "str"])
    def test_codes_of_17_digits_stay_what_they_are(self, dtype):
        """Neighbours beyond 2^53 are several categories, under their own digits."""
        ids = np.array([20230000000000001 + k for k in range(4)])
        rng = np.random.default_rng(0)
        b = rng.integers(0, 4, 900)
        X = pd.DataFrame({"branch": pd.Categorical(pd.Series(ids[b]).astype(dtype))})
        y = (rng.random(900) < 0.1 + 0.2 * b).astype(int)
        table = WOEEncoder(min_bin_size=0.01).fit(X, y).binning_table("branch")
        assert table["bin"].tolist()[:4] == list(map(str, ids))

    def test_features_that_are_called_as_other_rows(self):
        """Each table has a row for each, and no two of one name."""
        rng = np.random.default_rng(0)
        X = pd.DataFrame(rng.normal(size=(600, 3)), columns=["score", "base", "intercept"])
        y = (rng.random(600) < 1 / (1 + np.exp(1 - X.sum(axis=1)))).astype(int)
        card = Scorecard().fit(X, y)
        stability = card.stability_report(X.assign(score=X["score"] - 3))
        assert stability.index.tolist() == ["score", "score (feature)", "base", "intercept"]
        assert stability.loc["score (feature)", "reading"] == "shifted"
        assert card.summary().index.is_unique
        points = card.points_table()
        assert (points["feature"] == "base").sum() == 1
        assert set(points["feature"]) == {"base", "score", "base (feature)", "intercept"}


def mixed_rows():
    """Make rows of a number, a text and a flag."""
    rng = np.random.default_rng(0)
    rows = [
        [float(rng.integers(0, 50)), str(rng.choice(["a", "b"])), bool(rng.random() < 0.5)]
        for _ in range(300)
    ]
    return rows, [int(rng.random() < 0.2 + row[0] / 100) for row in rows]


class TestForms:
    """The same rows in any form are the same rows."""

    def test_of_a_table(self):
        """Frames of every library, arrays of objects and lists give the same WoE."""
        rows, y = mixed_rows()
        frame = pd.DataFrame(rows, columns=["x", "s", "f"])
        expected = WOEEncoder().fit(frame, y).transform(frame)
        forms = [
            rows,
            [tuple(row) for row in rows],
            np.array(rows, dtype=object),
            pl.from_pandas(frame),
            pa.Table.from_pandas(frame),
            frame.convert_dtypes(dtype_backend="pyarrow"),
            frame.assign(x=frame["x"].astype("Int64")),
            frame.assign(x=frame["x"].map(decimal.Decimal)),
            frame.assign(x=frame["x"].astype(np.float32)),
        ]
        for form in forms:
            np.testing.assert_array_equal(WOEEncoder().fit(form, y).transform(form), expected)

    @pytest.mark.parametrize("name", ["x", "s"])
    def test_of_one_record_with_a_missing_value(self, name):
        """Nothing but missing values has the type that the column has."""
        rows, y = mixed_rows()
        card = Scorecard().fit(pd.DataFrame(rows, columns=["x", "s", "f"]), y)
        record = dict(zip(["x", "s", "f"], rows[0], strict=True)) | {name: None}
        table = pa.Table.from_pylist([record])
        forms = [table, pl.from_arrow(table), table.to_pandas(types_mapper=pd.ArrowDtype)]
        expected = card.predict_score(pd.DataFrame([record]))
        for form in forms:
            assert card.predict_score(form) == expected

    @given(st.lists(st.floats(-1e30, 1e30, width=64), min_size=60, max_size=80, unique=True))
    @settings(max_examples=examples(60))
    def test_of_fewer_bits(self, values):
        """A cut lies between its neighbours as 32-bit floats too, where these differ."""
        x = np.sort(np.array(values))
        x = x[np.append(True, np.diff(x.astype(np.float32)) > 0)]
        y = (np.arange(len(x)) * 7 % 10 < 2 + 6 * (np.arange(len(x)) > len(x) // 2)).astype(int)
        if len(set(y)) < 2:
            return
        encoder = WOEEncoder().fit(x[:, None], y)
        shorter = encoder.bin_numbers(x.astype(np.float32)[:, None])
        np.testing.assert_array_equal(shorter, encoder.bin_numbers(x[:, None]))

    def test_flags_are_the_numbers_0_and_1(self):
        """A column that was a flag in training may come as 0 and 1, and the other way round."""
        rng = np.random.default_rng(0)
        flag = rng.random(400) < 0.4
        y = (rng.random(400) < np.where(flag, 0.5, 0.2)).astype(int)
        forms = [pd.DataFrame({"f": flag}), pd.DataFrame({"f": flag.astype(int)})]
        for form in forms:
            encoder = WOEEncoder().fit(form, y)
            np.testing.assert_array_equal(*(encoder.transform(other) for other in forms))

    @pytest.mark.parametrize(
        ("X", "error", "message"),
        [
            (pd.Series([1, 2], name="age"), ValueError, r"got a Series. Give X\[\['age'\]\]"),
            (pd.Series([1, 2]), ValueError, r"got a Series. Give X.to_frame\(\)"),
            (pl.Series("age", [1, 2]), ValueError, r"Give X\[\['age'\]\] of its frame"),
            (pa.array([1, 2]), ValueError, "Expected 2D input, a frame; got a Int64Array"),
            (pl.LazyFrame({"x": [1, 2]}), TypeError, r"Give X.collect\(\)"),
            ([{"x": 1}, {"x": 2}], TypeError, r"Give pandas.DataFrame\(X\)"),
            ({"x": 1}, TypeError, r"Give pandas.DataFrame\(\[X\]\)"),
            (pd.DataFrame({"x": pd.interval_range(0, 2)}), TypeError, "intervals into text"),
            (pd.DataFrame({"x": pd.cut([1, 2], 2)}), TypeError, r"'x'.*astype\(str\)"),
        ],
    )
    def test_that_cannot_be_taken(self, X, error, message):
        """What has no columns, or no values, is refused with the line that would work."""
        with pytest.raises(error, match=message):
            WOEEncoder().fit(X, [0, 1])


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ("unknown", "special_values of 's' must be a list of codes"),
        (-9, "special_values of 's' must be a list of codes"),
        ({"a": 1}, "special_values of 's' must be a list of codes"),
        ([], "got none"),
        ([[]], "got an empty one"),
        ([-9, np.nan], "got NaN"),
        ([None], "each text or a number; got None"),
        ([["a", "b"], ["b", "c"]], "each in one bin; got b twice"),
        ([1, "1"], "each in one bin; got 1 twice"),
        ([True, "True"], "each in one bin; got True twice"),
    ],
)
def test_special_values_are_checked_by_column(codes, message):
    """What is no list, overlaps, holds NaN or is empty is refused under the column's name."""
    X = pd.DataFrame({"s": ["a", "b", "c", "a"] * 50})
    with pytest.raises(ValueError, match=message):
        WOEEncoder(special_values={"s": codes}).fit(X, [0, 1, 1, 0] * 50)


def test_reasons_compare_with_what_can_be_attained():
    """Who has the best value is not told to be missing or special."""
    rng = np.random.default_rng(1)
    n = 4_000
    d = np.where(rng.random(n) < 0.15, np.nan, rng.integers(0, 6, n))
    d = np.where(rng.random(n) < 0.1, -9, d)
    safest = np.isnan(d) | (d == -9)
    y = (rng.random(n) < np.where(safest, 0.02, 0.05 + 0.06 * np.nan_to_num(d))).astype(int)
    X = pd.DataFrame({"marks": d})
    card = Scorecard(WOEEncoder(special_values={"marks": [-9]})).fit(X, y)
    assert len(card.reasons(pd.DataFrame({"marks": [0.0, np.nan, -9.0]}))) == 0
    told = card.reasons(pd.DataFrame({"marks": [5.0]}))
    ordinary = card.points_[0][: card.encoder_.bins_[0]["n_bins"]]
    assert told["lost"].tolist() == [ordinary.max() - ordinary.min()]


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.sampled_from([0.01, 1.0, 300.0]))
def test_a_row_has_one_bin_in_32_and_64_bits(seed, digits, scale):
    """Whichever of the two the encoder is fitted on, and which it is given later."""
    rng = np.random.default_rng(seed)
    x = (scale * rng.normal(size=300)).round(digits)
    y = rng.random(300) < 1 / (1 + np.exp(1 - x / scale))
    if y.all() or not y.any():
        return
    for fitted in (x, x.astype(np.float32)):
        encoder = WOEEncoder(monotonic=None).fit(fitted[:, None], y)
        long = encoder.bin_numbers(x[:, None])
        assert (long == encoder.bin_numbers(x.astype(np.float32)[:, None])).all()
        for cut in encoder.bins_[0]["cuts"]:
            low, high = (
                values.astype(np.float64) for values in (fitted[x < cut], fitted[x >= cut])
            )
            assert low.max() < cut <= high.min()
            assert cut < high.min() or cut.is_integer()


@pytest.mark.parametrize("dtype", [float, str, bool])
@pytest.mark.parametrize("unit", [1e-3, 1.0])
def test_a_flag_that_only_bads_have_is_seen(dtype, unit):
    """Nobody without the flag is all good, and so no split has some of both on each side."""
    flag = np.repeat([0, 1], [160, 40]).astype(dtype)
    y = np.append(np.tile([0, 1], 80), np.ones(40, int))
    encoder = WOEEncoder().fit(pd.DataFrame({"f": flag}), y, sample_weight=np.full(200, unit))
    table = encoder.binning_table("f").iloc[:-1].query("count > 0").sort_values("bads")
    assert (table["goods"] > 0).sum() == 1
    assert table["woe"].iloc[0] < -3
    assert encoder.information_value_[0] > 1
    assert encoder.separating_ == []


def test_a_range_that_only_bads_have_is_seen():
    """A column that separates the classes by two cuts, in a shape that may turn, is a leak."""
    X = pd.DataFrame({"x": np.tile([0, 1, 2], 100)})
    with pytest.warns(UserWarning, match="each bin of 'x' holds goods alone or bads alone"):
        encoder = WOEEncoder(monotonic="peak").fit(X, np.tile([0, 1, 0], 100))
    assert encoder.separating_ == ["x"]
    assert encoder.information_value_[0] > 3


def test_identifiers_are_no_predictor():
    """Categories that come once each are pure by chance, and stay in one bin."""
    X = pd.DataFrame({"id": [f"c{k}" for k in range(300)]})
    y = np.random.default_rng(0).integers(0, 2, 300)
    assert WOEEncoder().fit(X, y).information_value_[0] == 0


@pytest.mark.parametrize("codes", [["x"], [True], [np.inf], [[-9, "-8"]]])
def test_special_values_of_numbers_are_numbers(codes):
    """They are refused under the column's name."""
    X = pd.DataFrame({"age": np.arange(200) % 50})
    with pytest.raises(ValueError, match=r"special_values of 'age' .* finite numbers"):
        WOEEncoder(special_values={"age": codes}).fit(X, [0, 1] * 100)


@pytest.mark.parametrize("cuts", [["a"], 5, [1, 1], [np.nan], [True], "12"])
def test_cuts_are_checked_by_column(cuts):
    """What is no list of ascending numbers is refused under the column's name."""
    X = pd.DataFrame({"age": np.arange(200) % 50})
    with pytest.raises(ValueError, match="classing of 'age': cuts must be finite and asc"):
        WOEEncoder(classing={"age": {"cuts": cuts}}).fit(X, [0, 1] * 100)
