"""The bins of one column as codes, as names and as a table."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from rfmrisk.woe import WOEEncoder


@pytest.fixture
def encoder():
    """Bin a column of numbers with a special value, none of them missing."""
    x = np.repeat([1.0, 2.0, -9.0], [60, 40, 20])
    y = np.concatenate([np.arange(60) < 20, np.arange(40) < 30, np.arange(20) < 1])
    options = {"classing": {"x": {"cuts": [1.5, 5]}}, "special_values": {"x": [-9]}}
    return WOEEncoder(**options).fit(pd.DataFrame({"x": x}), y)


def test_table_by_hand(encoder):
    """Counts, shares, rates and the measures of each bin, empty ones included, and the totals."""
    table = encoder.binning_table("x")
    assert list(table.columns) == [
        *("bin", "count", "share", "goods", "bads", "bad_rate", "woe", "iv", "js")
    ]
    names = ["(-inf, 1.5)", "[1.5, 5)", "[5, inf)", "-9", "missing", "total"]
    assert table["bin"].tolist() == names
    assert table["count"].tolist() == [60, 40, 0, 20, 0, 120]
    assert table["goods"].tolist() == [40, 10, 0, 19, 0, 69]
    assert table["bads"].tolist() == [20, 30, 0, 1, 0, 51]
    assert table["share"].tolist() == pytest.approx([1 / 2, 1 / 3, 0, 1 / 6, 0, 1])
    rates = [1 / 3, 3 / 4, np.nan, 1 / 20, np.nan, 51 / 120]
    assert table["bad_rate"].tolist() == pytest.approx(rates, nan_ok=True)
    p, q = np.array([40, 10, 19]) / 69, np.array([20, 30, 1]) / 51
    filled = table[table["count"] > 0]
    assert filled["woe"].tolist() == pytest.approx([*np.log(p / q), 0])
    iv = (p - q) * np.log(p / q)
    assert filled["iv"].tolist() == pytest.approx([*iv, iv.sum()])
    middle = (p + q) / 2
    js = (p * np.log(p / middle) + q * np.log(q / middle)) / 2
    assert filled["js"].tolist() == pytest.approx([*js, js.sum()])
    assert js.sum() == pytest.approx(jensenshannon(p, q) ** 2)
    assert (table.loc[table["count"] == 0, ["woe", "iv", "js"]] == 0).all().all()


def test_light_weights_keep_their_rates():
    """A bin whose weights sum to less than one customer is a bin like any other."""
    X, y = pd.DataFrame({"x": ["a", "a", "b", "b"]}), [0, 1, 0, 1]
    weight = np.array([3, 1, 1, 3])
    options = {"min_bin_size": 0, "min_level_size": 0}
    heavy = WOEEncoder(**options).fit(X, y, sample_weight=weight).binning_table("x")
    light = WOEEncoder(**options).fit(X, y, sample_weight=weight / 100).binning_table("x")
    assert heavy["bad_rate"].tolist()[:2] == [0.25, 0.75]
    columns = ["share", "bad_rate", "woe", "iv", "js"]
    pd.testing.assert_frame_equal(light[columns], heavy[columns])


def test_a_bin_of_goods_alone_has_its_divergence():
    """A share of zero adds nothing to the Jensen-Shannon divergence, and the other its half."""
    X = pd.DataFrame({"x": [np.nan] * 4 + [1.0] * 12})
    y = [0] * 4 + [0] * 4 + [1] * 8
    table = WOEEncoder().fit(X, y).binning_table("x").set_index("bin")
    assert table.loc["missing", "js"] == pytest.approx(0.5 * np.log(2) / 2)


def test_a_bin_of_many_levels_names_eight():
    """The ninth and the tenth are counted."""
    X = pd.DataFrame({"x": list("abcdefghij") * 10})
    y = np.arange(100) < 30
    for n_levels, more in ((8, ""), (9, " and 1 more"), (10, " and 2 more")):
        some = X["x"] < "abcdefghijk"[n_levels]
        table = WOEEncoder(max_bins=1).fit(X[some], y[some]).binning_table("x")
        assert table["bin"][0] == "a, b, c, d, e, f, g, h" + more


LEVELS = ["a", "b", "c", "d", None] * 60
RISK = {"a": 10, "b": 4, "c": 6, "d": 30, None: 20}


def levels_and_y():
    """Make a column of levels, some of them missing, whose bad rates differ."""
    y = [k // 5 < RISK[level] for k, level in enumerate(LEVELS)]
    return pd.DataFrame({"x": LEVELS}), np.array(y)


def test_special_levels_have_bins_of_their_own():
    """Each entry has one, behind the ordinary bins and before the missing one."""
    X, y = levels_and_y()
    encoder = WOEEncoder(special_values={"x": ["b", ["c", "e"]]}).fit(X, y)
    table = encoder.binning_table("x")
    assert table["bin"].tolist() == ["a", "d", "b", "c, e", "missing", "unseen", "total"]
    assert table["bads"].tolist() == [10, 30, 4, 6, 20, 0, 70]
    codes = encoder.bin_numbers(pd.DataFrame({"x": ["a", "b", "c", "d", "e", None, "f"]}))
    assert codes[:, 0].tolist() == [0, 2, 3, 1, 3, 4, 5]


def test_weights_keep_special_and_missing_levels_apart():
    """With a weight of 1 for all rows the bins are those without weights."""
    X, y = levels_and_y()
    encoder = WOEEncoder(special_values={"x": ["b"]})
    plain = encoder.fit(X, y).binning_table("x")
    weighted = encoder.fit(X, y, sample_weight=np.ones(len(y))).binning_table("x")
    pd.testing.assert_frame_equal(weighted, plain)


def test_a_level_without_weight_is_unseen():
    """What weighs nothing has taught nothing."""
    X, y = levels_and_y()
    encoder = WOEEncoder().fit(X, y, sample_weight=(X["x"] != "d").astype(float))
    table = encoder.binning_table("x")
    assert not table["bin"].str.contains("d").any()
    assert encoder.bin_numbers(pd.DataFrame({"x": ["d"]}))[0, 0] == len(table) - 2


def test_a_single_level_has_a_single_bin():
    """And beside it only those of what was not there."""
    X = pd.DataFrame({"x": ["a"] * 40})
    table = WOEEncoder().fit(X, np.arange(40) < 10).binning_table("x")
    assert table["bin"].tolist() == ["a", "missing", "unseen", "total"]
