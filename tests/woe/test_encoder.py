"""WOEEncoder: what goes in, what comes out, and what is refused."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skops.io
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from rfmrisk.woe import WOEEncoder
from rfmrisk.woe.inputs import level_text
from tests.conftest import DATA


def customers(n=600, seed=0):
    """Make a table of every kind of column, and y."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=n)
    X = pd.DataFrame(
        {
            "recency": np.where(rng.random(n) < 0.1, np.nan, np.round(30 + 10 * risk, 1)),
            "frequency": rng.integers(0, 50, n),
            "channel": rng.choice(["web", "app", "shop", None], n),
            "vip": rng.random(n) < 0.3,
            "region": pd.Categorical(rng.choice(["north", "south"], n)),
            "visits": pd.array(rng.integers(0, 5, n), dtype="Int64"),
        }
    )
    X.loc[:5, "visits"] = pd.NA
    return X, (rng.random(n) < 1 / (1 + np.exp(1 - risk))).astype(int)


class TestOutput:
    """The shape and the values of what comes out."""

    def test_positive_is_safer(self):
        """WoE is the log of the share of goods over the share of bads."""
        encoder = WOEEncoder().fit(pd.DataFrame({"c": list("aaaabbbb")}), [0, 0, 0, 1, 0, 1, 1, 1])
        assert encoder.transform(pd.DataFrame({"c": ["a", "b"]})).ravel() == pytest.approx(
            [np.log(3), -np.log(3)]
        )

    def test_flipping_y_flips_the_sign(self):
        """Where goods and bads change places, so do safe and risky."""
        X, y = customers()
        woe = WOEEncoder().fit(X, y).transform(X)
        assert WOEEncoder().fit(X, 1 - y).transform(X) == pytest.approx(-woe)

    def test_is_an_array_by_default_and_a_frame_when_asked(self):
        """set_output decides, and names out are names in."""
        X, y = customers()
        encoder = WOEEncoder().fit(X, y)
        assert isinstance(encoder.transform(X), np.ndarray)
        for library, frame in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
            out = encoder.set_output(transform=library).transform(X)
            assert isinstance(out, frame)
            assert list(out.columns) == list(X.columns)
        assert list(encoder.get_feature_names_out()) == list(X.columns)

    def test_is_never_missing(self):
        """Missing, constant, empty and unseen all have a finite WoE."""
        X, y = customers()
        X = X.assign(empty=np.nan, nothing=None, constant=1.0)
        encoder = WOEEncoder().fit(X, y)
        new = X.copy()
        new["channel"] = "fax"
        new["frequency"] = np.nan
        woe = pd.DataFrame(encoder.transform(new), columns=X.columns)
        assert np.isfinite(woe).all().all()
        assert (woe[["empty", "nothing", "constant", "channel", "frequency"]] == 0).all().all()

    def test_does_not_change_its_input(self):
        """Neither the frame nor y is touched."""
        X, y = customers()
        before, labels = X.copy(), y.copy()
        WOEEncoder().fit(X, y).transform(X)
        pd.testing.assert_frame_equal(X, before)
        assert np.array_equal(y, labels)

    def test_ignores_the_index(self):
        """Rows are matched by position: a shuffled index of y changes nothing."""
        X, y = customers()
        shuffled = pd.Series(y, index=np.random.default_rng(0).permutation(len(y)))
        expected = WOEEncoder().fit(X, y).transform(X)
        assert np.array_equal(WOEEncoder().fit(X, shuffled).transform(X), expected)

    def test_takes_frames_of_every_library(self):
        """pandas, Polars and Arrow tables of the same data give the same WoE."""
        X, y = customers()
        X["region"] = X["region"].astype(str)
        expected = WOEEncoder().fit(X, y).transform(X)
        for frame in (
            pl.from_pandas(X),
            pa.Table.from_pandas(X),
            X.convert_dtypes(dtype_backend="pyarrow"),
            X.astype(object),
        ):
            assert np.array_equal(WOEEncoder().fit(frame, y).transform(frame), expected)

    def test_takes_polars_categories_and_duckdb(self):
        """Dictionary-encoded text is text."""
        X, y = customers()
        frame = pl.from_pandas(X[["channel"]])
        expected = WOEEncoder().fit(frame, y).transform(frame)
        coded = frame.with_columns(pl.col("channel").cast(pl.Categorical))
        assert np.array_equal(WOEEncoder().fit(coded, y).transform(coded), expected)
        table = duckdb.sql("SELECT * FROM frame").to_arrow_table()
        assert np.array_equal(WOEEncoder().fit(table, y).transform(table), expected)

    def test_an_array_has_positions_for_names(self):
        """Columns of an array are x0, x1, ..."""
        X, y = customers()
        encoder = WOEEncoder(monotonic={"x1": "descending"}).fit(
            X[["recency", "frequency"]].to_numpy(), y
        )
        assert list(encoder.get_feature_names_out()) == ["x0", "x1"]
        assert encoder.binning_table(1).equals(encoder.binning_table("x1"))


class TestFitting:
    """What the parameters do."""

    @pytest.mark.parametrize(
        ("shape", "allowed"),
        [
            ("ascending", lambda s: (s > 0).all()),
            ("descending", lambda s: (s < 0).all()),
            ("peak", lambda s: not ((s[:-1] < 0) & (s[1:] > 0)).any()),
            ("valley", lambda s: not ((s[:-1] > 0) & (s[1:] < 0)).any()),
        ],
    )
    def test_bad_rates_have_the_shape(self, shape, allowed):
        """The bad rates of the bins rise, fall, or turn once."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=4_000)
        y = rng.random(4_000) < 0.1 + 0.3 * (np.cos(2 * x) + 1) / 2
        encoder = WOEEncoder(monotonic=shape).fit(x[:, None], y)
        rates = encoder.binning_table(0)["bad_rate"][: encoder.bins_[0]["n_bins"]]
        assert allowed(np.diff(rates))

    def test_auto_is_the_better_direction_and_freedom_never_costs(self):
        """Each looser shape has at least the value of the stricter ones."""
        X, y = customers(3_000)
        values = {
            shape: WOEEncoder(monotonic=shape).fit(X[["frequency"]], y).information_value_[0]
            for shape in ("ascending", "descending", "auto", "peak", "valley", "auto_shape", None)
        }
        assert values["auto"] == max(values["ascending"], values["descending"])
        assert values["auto_shape"] == max(values["peak"], values["valley"])
        assert values[None] >= values["auto_shape"] - 1e-12 >= values["auto"] - 2e-12

    def test_cut_points_are_used_as_they_are(self):
        """Given cuts are neither moved nor dropped."""
        X, y = customers()
        encoder = WOEEncoder(classing={"recency": {"cuts": [10, 20, 30]}}).fit(X, y)
        assert encoder.bins_[0]["cuts"].tolist() == [10, 20, 30]
        assert encoder.binning_table("recency")["bin"].tolist() == [
            *("(-inf, 10)", "[10, 20)", "[20, 30)", "[30, inf)", "missing", "total")
        ]

    def test_special_values_have_bins_of_their_own(self):
        """Each entry has a bin, a nested list shares one, and none moves a cut."""
        X, y = customers()
        coded = X.assign(frequency=X["frequency"].where(X.index > 60, -7))
        coded.loc[30:60, "frequency"] = -8
        coded.loc[50:60, "frequency"] = -9
        encoder = WOEEncoder(special_values={"frequency": [-7, [-8, -9]], "channel": ["web"]}).fit(
            coded, y
        )
        table = encoder.binning_table("frequency").set_index("bin")
        assert table.loc["-7", "count"] == 30
        assert table.loc["-8, -9", "count"] == 31
        assert table.loc["missing", "count"] == 0
        assert encoder.bins_[1]["cuts"].min() > 0
        assert encoder.binning_table("channel")["bin"].tolist()[-4:-3] == ["web"]
        plain = WOEEncoder().fit(X[61:], y[61:])
        assert np.array_equal(encoder.bins_[1]["cuts"], plain.bins_[1]["cuts"])

    @pytest.mark.parametrize(("policy", "bin_"), [("zero", None), ("missing", "missing")])
    def test_unseen_levels_follow_the_policy(self, policy, bin_):
        """An unseen level is neutral, or scored like missing."""
        X, y = customers()
        encoder = WOEEncoder(unseen=policy).fit(X[["channel"]], y)
        woe = encoder.transform(pd.DataFrame({"channel": ["fax"]}))[0, 0]
        table = encoder.binning_table("channel").set_index("bin")
        assert woe == (0 if bin_ is None else table.loc[bin_, "woe"])
        assert table.loc["unseen", "woe"] == woe

    def test_unseen_levels_can_be_an_error(self):
        """The error names the column, counts, and shows a level."""
        X, y = customers()
        encoder = WOEEncoder(unseen="error").fit(X, y)
        new = X.assign(channel="fax")
        with pytest.raises(ValueError, match=r"'channel' holds 600 value\(s\).*'fax'"):
            encoder.transform(new)

    def test_smoothing_keeps_pure_bins_finite(self):
        """A bin of bads alone has the WoE of its smoothed counts."""
        X = pd.DataFrame({"x": [np.nan, np.nan, 1, 1, 1, 1]})
        encoder = WOEEncoder(smoothing=0.5).fit(X, [1, 1, 0, 0, 0, 1])
        table = encoder.binning_table("x").set_index("bin")
        assert table.loc["missing", "woe"] == pytest.approx(np.log((0.5 / 3) / (2.5 / 3)))

    def test_weight_equals_repetition(self):
        """A weight of w gives what w customers give, in every column."""
        X, y = customers()
        weight = np.random.default_rng(0).integers(0, 4, len(y))
        repeated = np.repeat(np.arange(len(y)), weight)
        weighted = WOEEncoder().fit(X, y, sample_weight=weight).transform(X)
        twice = WOEEncoder().fit(X.iloc[repeated], y[repeated]).transform(X)
        assert weighted == pytest.approx(twice)

    def test_min_iv_selects(self):
        """Columns under the threshold are left out of names and output."""
        X, y = customers()
        every = WOEEncoder().fit(X, y)
        encoder = WOEEncoder(min_iv=0.1).fit(X, y)
        assert list(encoder.get_feature_names_out()) == ["recency"]
        assert np.array_equal(encoder.transform(X)[:, 0], every.transform(X)[:, 0])

    def test_min_iv_that_nothing_reaches_is_an_error(self):
        """The message gives the greatest value."""
        X, y = customers()
        with pytest.raises(ValueError, match="No column reaches min_iv=9; the greatest"):
            WOEEncoder(min_iv=9).fit(X, y)

    def test_many_levels(self):
        """100,000 distinct levels are pooled, in a moment, and tell nothing."""
        rng = np.random.default_rng(0)
        X = pd.DataFrame({"id": rng.permutation(100_000).astype(str)})
        encoder = WOEEncoder().fit(X, rng.random(100_000) < 0.2)
        assert encoder.information_value_[0] == 0
        assert "more" in encoder.binning_table("id")["bin"][0]

    def test_constraints_hold_with_any_of_them_tight(self):
        """Bins have their least size and their least events."""
        X, y = customers(2_000)
        encoder = WOEEncoder(min_bin_size=0.2, min_bin_events=60, max_bins=3).fit(X, y)
        for j, column in enumerate(encoder.bins_):
            table = encoder.binning_table(j).iloc[: column["n_bins"]]
            assert len(table) <= 3
            assert len(table) == 1 or table[["goods", "bads"]].min().min() >= 60
            assert len(table) == 1 or table["count"].min() >= 400


class TestBinningTable:
    """The table that a risk officer reads."""

    def test_adds_up(self):
        """Shares, counts and values sum to the totals, and IV is never negative."""
        X, y = customers()
        encoder = WOEEncoder().fit(X, y)
        for name in X:
            table = encoder.binning_table(name)
            bins, total = table.iloc[:-1], table.iloc[-1]
            assert total["bin"] == "total"
            assert bins["count"].sum() == total["count"] == len(y)
            assert bins["bads"].sum() == total["bads"] == y.sum()
            assert bins["share"].sum() == pytest.approx(1)
            assert (bins[["iv", "js"]] >= 0).all().all()
            assert bins["iv"].sum() == pytest.approx(
                encoder.information_value_[list(X).index(name)]
            )
            assert bins["js"].sum() <= np.log(2)

    def test_names_columns_that_are_there(self):
        """An unknown feature is an error that lists the known ones."""
        X, y = customers()
        with pytest.raises(ValueError, match=r"no column 'age'; there are recency, frequency"):
            WOEEncoder().fit(X, y).binning_table("age")


class TestComposition:
    """Life inside scikit-learn."""

    def test_grid_search_over_any_parameter(self):
        """Every parameter can be searched in a pipeline."""
        X, y = customers()
        model = make_pipeline(WOEEncoder(), LogisticRegression())
        grid = {
            "woeencoder__max_bins": [2, 6],
            "woeencoder__monotonic": ["auto", None, {"recency": "ascending"}],
            "woeencoder__min_iv": [0, 0.01],
        }
        search = GridSearchCV(model, grid, scoring="roc_auc", cv=3, error_score="raise").fit(X, y)
        assert search.best_score_ > 0.6

    def test_clone_keeps_parameters(self):
        """The constructor stores what it is given and no more."""
        encoder = WOEEncoder(special_values={"a": [-1]}, monotonic={"a": None})
        assert clone(encoder).get_params() == encoder.get_params()

    def test_skops_round_trip_is_exact(self):
        """A saved encoder needs one trusted type and gives the same WoE to the last bit."""
        X, y = customers()
        encoder = WOEEncoder(special_values={"frequency": [[1, 2]]}).fit(X, y)
        saved = skops.io.dumps(encoder)
        loaded = skops.io.loads(saved, trusted=["rfmrisk.woe.encoder.WOEEncoder"])
        assert np.array_equal(loaded.transform(X), encoder.transform(X))
        pd.testing.assert_frame_equal(
            loaded.binning_table("channel"), encoder.binning_table("channel")
        )

    @pytest.mark.skipif(not DATA.exists(), reason="needs shared/data beside the project")
    def test_real_data(self):
        """The strongest column of the Taiwan data is the last payment's status."""
        frame = pd.read_csv(DATA / "taiwan_default.csv").drop(columns="ID")
        y = frame.pop("default_payment_next_month")
        encoder = WOEEncoder().fit(frame, y)
        assert frame.columns[encoder.information_value_.argmax()] == "PAY_0"
        assert encoder.information_value_.max() == pytest.approx(0.87, abs=0.02)


class TestBadInput:
    """One clear error each."""

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            ([0, 0, 0, 0], "one class only"),
            ([0, 1, 2, 0], "Only binary classification is supported.*got 3 classes: 0, 1, 2"),
            ([0.1, 0.5, 0.2, 0.3], "Unknown label type: continuous"),
            ([0, 1, np.nan, 0], r"Input y contains NaN: 1 label"),
            (["good", "bad", "good", "bad"], "Unknown label type.*'good', 'bad'"),
            ([0, 1], "4 rows and 2 labels"),
            (None, "requires y"),
        ],
    )
    def test_target(self, y, message):
        """A target that is not good or bad says what it is."""
        with pytest.raises(ValueError, match=message):
            WOEEncoder().fit([[1.0], [2.0], [3.0], [4.0]], y)

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            ([1, -1, 1, 1], "1 negative"),
            ([0, 0, 0, 0], "zero everywhere"),
            ([0, 1, 0, 1], "one class only"),
            ([1, np.nan, 1, 1], "NaN"),
            ([1, 1], r"shape \(4,\)"),
        ],
    )
    def test_weights(self, weight, message):
        """Weights are finite, not negative, and leave both classes."""
        with pytest.raises(ValueError, match=message):
            WOEEncoder().fit([[1.0], [2.0], [3.0], [4.0]], [0, 1, 0, 1], sample_weight=weight)

    def test_infinite_values(self):
        """The column is named and the values are counted, in fit and in transform."""
        X, y = customers()
        bad = X.assign(recency=np.inf)
        with pytest.raises(ValueError, match="infinity: column 'recency' has 600"):
            WOEEncoder().fit(bad, y)
        with pytest.raises(ValueError, match="infinity: column 'recency'"):
            WOEEncoder().fit(X, y).transform(bad)

    def test_dates(self):
        """A date is neither a number nor a level."""
        X = pd.DataFrame({"when": pd.date_range("2024", periods=4)})
        with pytest.raises(TypeError, match=r"'when' \(dtype datetime64.*Turn dates into numbers"):
            WOEEncoder().fit(X, [0, 1, 0, 1])

    def test_nested_values(self):
        """A list in a cell is named."""
        X = pd.DataFrame({"basket": [("a",), ("b",), ("a",), ("c",)]})
        with pytest.raises(TypeError, match="'basket': argument must be a string or a number"):
            WOEEncoder().fit(X, [0, 1, 0, 1])

    def test_columns_in_another_order_or_missing(self):
        """scikit-learn's error, never a silent shuffle."""
        X, y = customers()
        encoder = WOEEncoder().fit(X, y)
        with pytest.raises(ValueError, match="feature names should match"):
            encoder.transform(X[X.columns[::-1]])
        with pytest.raises(ValueError, match="feature names should match"):
            encoder.transform(X.drop(columns="vip"))

    def test_text_where_numbers_were(self):
        """A column that changes its kind is an error, not a guess."""
        X, y = customers()
        encoder = WOEEncoder().fit(X, y)
        with pytest.raises(TypeError, match="'recency' was fitted as numbers and now holds 'late'"):
            encoder.transform(X.assign(recency="late"))

    def test_numbers_where_text_was(self):
        """Numbers in a column of words are not unseen words."""
        X, y = customers()
        encoder = WOEEncoder().fit(X, y)
        with pytest.raises(TypeError, match="'channel' was fitted as text and now holds numbers"):
            encoder.transform(X.assign(channel=1.0))

    def test_missing_everywhere_at_transform(self):
        """A row of nothing is scored, whatever the types of its empty columns."""
        X, y = customers()
        encoder = WOEEncoder().fit(X, y)
        nothing = pd.DataFrame([[None] * X.shape[1]], columns=X.columns)
        floats = pd.DataFrame([[np.nan] * X.shape[1]], columns=X.columns)
        assert np.array_equal(encoder.transform(nothing), encoder.transform(floats))

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"max_bins": 0}, "max_bins must be an integer of at least 1; got 0"),
            ({"max_bins": 2.5}, "max_bins must be an integer"),
            ({"max_prebins": 1}, "max_prebins must be an integer of at least 2"),
            ({"min_bin_size": 1.5}, "min_bin_size must be a share"),
            ({"min_level_size": -0.1}, "min_level_size must be a share"),
            ({"min_bin_events": -1}, "min_bin_events must be a number from 0"),
            ({"min_iv": np.nan}, "min_iv must be a number from 0"),
            ({"smoothing": 0}, "smoothing must be above 0"),
            ({"unseen": "ignore"}, "unseen must be 'zero', 'missing' or 'error'"),
            ({"monotonic": "up"}, "monotonic must be one of 'auto'.*got 'up'"),
            ({"monotonic": {"age": "peak"}}, "monotonic must be a dict whose keys.*recency"),
            ({"classing": {"age": {}}}, "classing names 'age', which is none of the columns"),
            ({"classing": [1]}, "classing must be a mapping by column name"),
            ({"classing": {"channel": {"cuts": [2]}}}, "cuts 'channel', which holds categories"),
            ({"classing": {"recency": {"order": ["a"]}}}, "groups 'recency', which holds numbers"),
            ({"missing": "best"}, "missing must be one of own, worst, neutral, nearest"),
            ({"cut_digits": 0}, "cut_digits must be a number of digits from 1"),
            ({"special_values": {"age": [1]}}, "special_values must be a dict whose keys"),
        ],
    )
    def test_parameters(self, parameters, message):
        """A parameter that is out of range says what is allowed and what was got."""
        X, y = customers()
        with pytest.raises(ValueError, match=message):
            WOEEncoder(**parameters).fit(X, y)

    def test_a_column_name_twice(self):
        """Names lead to parameters and tables, so each is there once."""
        X = pd.DataFrame([[1.0, 2.0], [2.0, 1.0]], columns=["a", "a"])
        with pytest.raises(ValueError, match="unique; got more than one a"):
            WOEEncoder().fit(X, [0, 1])

    def test_not_fitted(self):
        """Nothing works before fit."""
        with pytest.raises(NotFittedError):
            WOEEncoder().transform([[1.0]])
        with pytest.raises(NotFittedError):
            WOEEncoder().binning_table("x0")

    def test_an_empty_table(self):
        """No rows is an error."""
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            WOEEncoder().fit(pd.DataFrame({"x": []}), [])


def test_levels_are_known_by_their_text():
    """1, 1.0 and "1" are one level, and so is True in any spelling of a boolean."""
    assert level_text(1) == level_text(1.0) == level_text(np.int64(1)) == "1"
    assert level_text(True) == level_text(np.True_) == "True"
    X = pd.DataFrame({"c": pd.Categorical([1, 2, 1, 2])})
    encoder = WOEEncoder().fit(X, [0, 1, 1, 1])
    assert np.array_equal(
        encoder.transform(X), encoder.transform(pd.DataFrame({"c": [1, 2, 1, 2]}))
    )
