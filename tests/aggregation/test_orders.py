"""Where a log names its orders, frequency, gaps and counts are of orders and not of lines."""

import pandas as pd
import pytest

from rfmrisk import (
    CategoryAggregator,
    RFMAggregator,
    SpendAggregator,
    TemporalAggregator,
    customer_features,
    histories_in_parts,
    to_histories,
)

K = {"customer": "id", "time": "t", "amount": "a"}


@pytest.fixture
def lines():
    """Return a log of lines: ann has three orders and a line without one, bob has one order."""
    return pd.DataFrame(
        {
            "id": ["ann"] * 6 + ["bob"] * 2,
            "t": [f"2024-01-{day}" for day in ("01", "01", "11", "21", "21", "31", "05", "05")],
            "a": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            "invoice": ["A", "A", "B", "C", "C", None, "A", "A"],
        }
    )


def test_frequency_counts_and_gaps_are_of_orders(lines):
    """Two customers may share the number of an order; a line without one is an order."""
    histories = to_histories(lines, **K, order="invoice")
    rfm = RFMAggregator().fit_transform(histories)
    assert rfm["frequency"].tolist() == [4, 1]
    assert rfm["monetary"].tolist() == [21.0, 15.0]
    recent = RFMAggregator(window="15D").fit_transform(histories)
    assert recent["frequency"].tolist() == [2, 0]
    spend = SpendAggregator(windows=("15D", None)).fit_transform(histories)
    assert spend["amount_count"].tolist() == [4, 1]
    assert spend["amount_count_15D"].tolist() == [2, 0]
    assert spend["amount_mean"].tolist() == [3.5, 7.5]
    gaps = TemporalAggregator().fit_transform(histories)
    assert gaps["gap_mean"].iloc[0] == 10.0
    assert gaps["gap_std"].iloc[0] == 0.0


def test_lines_of_one_order_each_are_a_log_without_orders(lines):
    """An order a row gives the features of the log without the role, to the last bit."""
    each = lines.assign(invoice=range(len(lines)))
    ours = customer_features().fit_transform(to_histories(each, **K, order="invoice"))
    plain = to_histories(lines.drop(columns="invoice"), **K)
    pd.testing.assert_frame_equal(ours, customer_features().fit_transform(plain))


def test_orders_in_parts(lines, tmp_path):
    """A log on disk gives the same."""
    lines.to_parquet(tmp_path / "log.parquet")
    parts = histories_in_parts(tmp_path / "log.parquet", **K, order="invoice", rows_per_part=4)
    frequency = pd.concat(RFMAggregator().fit_transform(part) for part in parts)["frequency"]
    assert frequency.sort_index().tolist() == [4, 1]


def test_a_column_called_order_needs_the_role(lines):
    """Another column of that name would be taken for the role, so it is refused."""
    with pytest.raises(ValueError, match=r"\['order'\] have the name of a role"):
        to_histories(lines.rename(columns={"invoice": "order"}), **K)


@pytest.mark.parametrize(
    ("fitted", "given", "expected"),
    [
        (["001", "002", "HQ"], [1, 2, 1], ["1", "2", "1"]),
        ([7, 10, 10], ["7", "10", "7"], ["7", "10", "7"]),
        ([True, False, True], ["True", "False", ""], ["true", "false", None]),
        (["a", "NA", "b"], ["", "NA", "NA"], [None, "NA", "NA"]),
    ],
)
def test_levels_are_of_the_dtype_of_the_fit(fitted, given, expected):
    """A type belongs to the model: another file's whole numbers, booleans or text become it."""

    def histories(levels):
        rows = {"id": ["x", "y", "z"], "t": "2024-01-01", "a": 1.0, "k": levels}
        return to_histories(pd.DataFrame(rows), **K)

    aggregator = CategoryAggregator(["k"]).fit(histories(fitted))
    top = aggregator.transform(histories(given))["k_top"]
    assert top.astype(object).where(top.notna(), None).tolist() == expected
