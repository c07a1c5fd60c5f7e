"""The log comes in: read, bound to roles, nested into one row per customer and as_of.

Each name is imported when it is first used: the command line asks this package for its options, and
does not wait for what reads logs.
"""

from typing import TYPE_CHECKING

from rfmrisk._lazy import lazily

if TYPE_CHECKING:
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

_HOMES = {
    "describe": ["describe_histories"],
    "nesting": ["rewind", "to_histories"],
    "partitions": ["histories_in_parts"],
    "reading": ["read_transactions"],
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
