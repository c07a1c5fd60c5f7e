"""Histories in words."""

import pandas as pd
import pytest

from rfmrisk import describe_histories, to_histories

LOG = pd.DataFrame(
    {
        "CustomerId": ["ann", "ann", "bob"],
        "TransactionStartTime": ["2024-01-01T10:00:00", "2024-03-01", "2024-02-15"],
        "Amount": [1_000.0, -250.4, 50.0],
    }
)


def test_each_history_is_a_sentence():
    """How many transactions, from when to when, and what they come to; the rest stays."""
    asked = pd.DataFrame(
        {"customer": ["ann", "bob", "cy"], "as_of": "2024-04-01", "term": [1, 2, 3]}
    )
    described = describe_histories(to_histories(LOG, as_of=asked))
    assert described["history"].tolist() == [
        "2 transactions, 2024-01-01 to 2024-03-01, 1,250",
        "1 transaction, 2024-02-15 to 2024-02-15, 50",
        "no transactions",
    ]
    assert described.columns.tolist() == ["as_of", "term", "history"]
    assert described["term"].tolist() == [1, 2, 3]


def test_only_histories_are_described():
    """A log is refused."""
    with pytest.raises(ValueError, match="must have one column 'as_of' and one 'history'"):
        describe_histories(LOG)
