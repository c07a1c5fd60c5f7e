"""A model over time."""

import numpy as np
import pandas as pd
import pytest

from rfmrisk import Scorecard
from rfmrisk.validation import MonitorDisplay, monitor_model, write_monitor

FIRST_DRIFT = 8


def _rows(rng, n, shift=0.0):
    X = pd.DataFrame({"income": rng.normal(-shift, 1, n), "use": rng.beta(2, 5, n)})
    X.loc[rng.random(n) < 0.05, "income"] = np.nan
    odds = -2.2 - 0.8 * X["income"].fillna(0) + 2 * X["use"]
    return X, (rng.random(n) < 1 / (1 + np.exp(-odds))).to_numpy()


def _bank(seed, drift=None, n=300, months=16):
    """Make a card, and the applicants of some months, of lower income from a month on."""
    rng = np.random.default_rng(seed)
    card = Scorecard().fit(*_rows(rng, 2_000))
    drawn = [_rows(rng, n, 0.75 * (drift is not None and k >= drift)) for k in range(months)]
    starts = pd.period_range("2024-01", periods=months, freq="M").start_time
    table = pd.concat([X for X, _ in drawn], ignore_index=True)
    table["decided"] = np.repeat(starts, n)
    table["bad"] = np.concatenate([y for _, y in drawn]).astype(float)
    return card, table


@pytest.mark.parametrize("outcomes", [None, "bad"])
def test_a_drift_turns_red_within_two_months(outcomes):
    """Whether or not outcomes are known, the light is red by the second month of a drift."""
    for seed in range(5):
        card, table = _bank(seed, FIRST_DRIFT)
        lights = monitor_model(card, table, time="decided", outcomes=outcomes).periods["light"]
        assert "red" in set(lights.iloc[FIRST_DRIFT : FIRST_DRIFT + 2])


@pytest.mark.slow
def test_a_bank_without_drift_is_seldom_red():
    """At most 5 % of the months of banks without a drift are red."""
    lights = [
        monitor_model(*_bank(seed), time="decided", outcomes="bad").periods["light"]
        for seed in range(100, 112)
    ]
    assert (pd.concat(lights) == "red").mean() <= 0.05


def test_parts_give_what_the_whole_gives():
    """A table read in parts, in any order, gives the same report."""
    card, table = _bank(1, FIRST_DRIFT)
    whole = monitor_model(card, table, time="decided", outcomes="bad")
    shuffled = table.sample(frac=1, random_state=0)
    parts = (shuffled.iloc[k::3] for k in range(3))
    found = monitor_model(card, parts, time="decided", outcomes="bad")
    pd.testing.assert_frame_equal(found.periods, whole.periods)
    pd.testing.assert_frame_equal(found.shifts, whole.shifts)


def test_shifts_explain_the_mean_score():
    """In each period the points that the bins moved add up to the distance of the means."""
    card, table = _bank(2, FIRST_DRIFT)
    reference = table[table["decided"] < "2024-04"]
    found = monitor_model(card, table, time="decided", reference=reference)
    moved = found.shifts.groupby("period")["moved"].sum()
    distance = found.periods["mean_score"] - card.predict_score(reference[["income", "use"]]).mean()
    np.testing.assert_allclose(moved, distance, atol=1e-9)
    assert found.periods["not_given"].between(0.01, 0.05).all()


def test_the_first_red_month_says_why():
    """The reason has the figure, and the rule stands beside it."""
    card, table = _bank(3, FIRST_DRIFT)
    found = monitor_model(card, table, time="decided", outcomes="bad")
    red = found.periods[found.periods["light"] == "red"]
    assert red["reason"].str.contains("PSI of the score|bad where|AUC").all()
    assert found.light == "red"
    assert found.rule in str(found)


def test_quarters_hold_their_months():
    """Longer periods hold the rows of the shorter ones."""
    card, table = _bank(4)
    months = monitor_model(card, table, time="decided").periods["n"]
    quarters = monitor_model(card, table, "quarter", time="decided").periods["n"]
    assert quarters.sum() == months.sum()
    assert quarters.iloc[0] == months.iloc[:3].sum()


def test_the_page_and_the_tables_are_written(tmp_path):
    """The folder holds one page with light and rule, and the tables."""
    card, table = _bank(5, FIRST_DRIFT)
    found = monitor_model(card, table, time="decided", outcomes="bad")
    page = write_monitor(found, tmp_path).read_text(encoding="utf-8")
    assert "Red in 2025-04" in page
    assert "beyond chance at 1%" in page
    assert len(pd.read_csv(tmp_path / "periods.csv")) == len(found.periods)
    assert len(MonitorDisplay(report=found).plot().axes_) == 6


def test_what_cannot_be_watched_is_named():
    """An error says what is missing."""
    card, table = _bank(6, months=1)
    with pytest.raises(ValueError, match=r"'by' .* a str among {.*'month'.*}. Got 'fortnight' "):
        monitor_model(card, table, "fortnight", time="decided")
    with pytest.raises(ValueError, match="no column 'as_of'"):
        monitor_model(card, table)
    with pytest.raises(ValueError, match="there are no rows"):
        monitor_model(card, table[:0], time="decided")
    with pytest.raises(ValueError, match=r"1 missing value\(s\)"):
        monitor_model(
            card, table.assign(decided=table["decided"].where(table.index > 0)), time="decided"
        )
    with pytest.raises(ValueError, match="the rows lack the columns use"):
        monitor_model(card, table.drop(columns="use"), time="decided")
