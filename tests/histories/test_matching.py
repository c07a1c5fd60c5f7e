"""Outcomes belong to the rows that they are given with, or are refused."""

import numpy as np
import pandas as pd
import pytest

from rfmrisk.histories.matching import check_matched

INDEX = pd.Index([3, 1, 2], name="customer")


@pytest.mark.parametrize(
    "y",
    [
        [0, 1, 0],
        np.array([0, 1, 0]),
        pd.Series([0, 1, 0]),
        pd.Series([0, 1, 0], index=INDEX),
        pd.Series([0, 1, 0], index=INDEX.astype(float)),
    ],
)
def test_what_has_no_other_index_is_taken(y):
    """Arrays, a plain range and the index of the histories say nothing else."""
    check_matched(y, INDEX)


@pytest.mark.parametrize(
    "index",
    [
        ["3", "1", "2"],
        ["1", "2", "3"],
        [1, 2, 3],
        [3, 1, 4],
        [1, 2, 4],
        pd.to_datetime(["2020-01-03", "2020-01-01", "2020-01-02"]),
        pd.MultiIndex.from_tuples([(3, 0), (1, 0), (2, 0)]),
    ],
)
def test_another_index_is_refused(index):
    """Other ids, other types of the same ids and another order are errors, not positions."""
    with pytest.raises(ValueError, match=r"y has (another index|the customers)"):
        check_matched(pd.Series([0, 1, 0], index=index), INDEX)


def test_a_range_that_names_customers_in_another_order_is_refused():
    """Ids 0 to n - 1 in another order than y's are an order, and no plain range."""
    with pytest.raises(ValueError, match="another order"):
        check_matched(pd.Series([0, 1, 0]), pd.Index([2, 0, 1]))
