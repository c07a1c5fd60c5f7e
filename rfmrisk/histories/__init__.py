"""The log comes in: read, bound to roles, nested into one row per customer and as_of."""

from rfmrisk.histories.describe import describe_histories
from rfmrisk.histories.nesting import rewind, to_histories
from rfmrisk.histories.partitions import histories_in_parts
from rfmrisk.histories.reading import read_transactions

__all__ = [
    "describe_histories",
    "histories_in_parts",
    "read_transactions",
    "rewind",
    "to_histories",
]
