"""Displays draw what was computed elsewhere."""

import builtins

import numpy as np
import pandas as pd
import pytest

from rfmrisk.plotting import FrontierDisplay, WOEDisplay
from rfmrisk.scorecard import Scorecard
from rfmrisk.woe import WOEEncoder

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture
def pyplot():
    """Draw without a window, and close what was drawn."""
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture(scope="module")
def encoder():
    """Fit an encoder on three columns."""
    rng = np.random.default_rng(0)
    risk = rng.normal(size=400)
    X = pd.DataFrame(
        {
            "noise": rng.normal(size=400),
            "risk": np.where(rng.random(400) < 0.1, np.nan, risk),
            "c": rng.choice(["a", "a level with a very long name"], 400),
        }
    )
    return WOEEncoder().fit(X, rng.random(400) < 1 / (1 + np.exp(1 - risk)))


def test_draws_every_feature_by_information_value(pyplot, encoder):
    """One axes each, the strongest first, with its value in the title."""
    display = WOEDisplay.from_estimator(encoder)
    titles = [ax.get_title() for ax in display.axes_]
    assert len(titles) == 3
    assert titles[0] == f"risk (IV {encoder.information_value_[1]:.3f})"
    assert display.figure_ is display.axes_[0].figure


@pytest.mark.parametrize("kind", ["woe", "bad_rate"])
def test_draws_the_numbers_of_the_table(pyplot, encoder, kind):
    """Bars are counts, and the line is the WoE or the bad rate."""
    display = WOEDisplay.from_estimator(encoder, "risk", kind=kind)
    table = encoder.binning_table("risk").iloc[:-1]
    ax = display.axes_[0]
    line = ax.figure.axes[-1].get_lines()[0]
    assert [bar.get_height() for bar in ax.patches] == table["count"].tolist()
    assert line.get_ydata() == pytest.approx(table[kind].to_numpy()[:-1])


@pytest.fixture(scope="module")
def encoder_over_time():
    """Fit an encoder on a column that turns in one of three periods."""
    rng = np.random.default_rng(0)
    period = np.repeat(["Q1", "Q2", "Q3"], 400)
    X = pd.DataFrame({"risk": rng.normal(size=1_200)})
    X.loc[::50, "risk"] = np.nan
    logit = np.where(period == "Q2", -0.5, 1) * X["risk"].fillna(0) - 1
    return WOEEncoder().fit(X, rng.random(1_200) < 1 / (1 + np.exp(-logit)), period=period)


def test_draws_a_line_for_each_bin_over_the_periods(pyplot, encoder_over_time):
    """Each line is the bad rates of a bin, that of missing values dotted."""
    ax = WOEDisplay.from_estimator(encoder_over_time, kind="period").axes_[0]
    table = encoder_over_time.binning_table("risk").iloc[:-1]
    rates = table.filter(like="bad_rate ").to_numpy()
    assert np.array([line.get_ydata() for line in ax.get_lines()]) == pytest.approx(rates)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Q1", "Q2", "Q3"]
    assert ax.get_lines()[-1].get_linestyle() == ":"
    n_reversals = table["reversals"].sum()
    assert ax.get_title() == f"risk ({n_reversals} reversals)"


def test_periods_are_drawn_where_there_are_some(encoder):
    """An encoder without periods says how to give them."""
    with pytest.raises(ValueError, match=r"fit had none: fit\(X, y, period=\.\.\.\)"):
        WOEDisplay.from_estimator(encoder, kind="period")


def test_draws_the_frontier(pyplot, encoder_over_time):
    """Points are reversals and information values, each with its price beside it."""
    display = FrontierDisplay.from_estimator(encoder_over_time, 0)
    frontier = encoder_over_time.frontier("risk")
    line = display.ax_.get_lines()[0]
    assert line.get_xdata().tolist() == frontier["reversals"].tolist()
    assert line.get_ydata().tolist() == frontier["information_value"].tolist()
    assert [t.get_text() for t in display.ax_.texts] == [f"{p:.2g}" for p in frontier["stability"]]
    assert "'risk'" in repr(display)


def test_draws_where_it_is_told(pyplot, encoder):
    """Given axes are used, and plot returns the display."""
    _, ax = pyplot.subplots(1, 2)
    display = WOEDisplay.from_estimator(encoder, ["risk", 2], ax=ax)
    assert display.axes_ == list(ax)
    assert display.plot() is display
    with pytest.raises(ValueError, match="ax must hold 2 axes; got 1"):
        display.plot(ax[0])


def test_takes_a_scorecard(pyplot):
    """A scorecard is drawn by its encoder."""
    card = Scorecard().fit([[float(k)] for k in range(100)], np.arange(100) % 10 < 4)
    assert WOEDisplay.from_estimator(card).axes_[0].get_title().startswith("x0 (IV")


def test_refuses_another_kind(encoder):
    """The error lists the kinds."""
    with pytest.raises(ValueError, match=r"'kind' .* a str among {.*'period'.*}. Got"):
        WOEDisplay.from_estimator(encoder, kind="points")


def test_says_how_to_get_matplotlib(monkeypatch, encoder):
    """Without matplotlib, the error names the extra."""
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"rfmrisk\[train\]"):
        WOEDisplay.from_estimator(encoder)


def test_long_labels_that_begin_alike_are_told_apart(pyplot):
    """They are shortened only where that leaves no two of them the same."""
    names = ["a very long name of one shop", "a very long name of two shops", "short"]
    X = pd.DataFrame({"s": np.repeat(names, 60)})
    y = np.tile([0, 0, 1], 60) | (np.arange(180) % 5 < np.repeat([0, 1, 4], 60))
    display = WOEDisplay.from_estimator(WOEEncoder().fit(X, y))
    labels = [label.get_text() for label in display.axes_[0].get_xticklabels()]
    assert sorted(labels) == sorted(names)
