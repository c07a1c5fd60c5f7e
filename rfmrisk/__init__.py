"""Credit-risk models from transactions without default labels."""

from rfmrisk.aggregation import (
    CategoryAggregator,
    RFMAggregator,
    SpendAggregator,
    TemporalAggregator,
    customer_features,
)
from rfmrisk.histories import read_transactions, rewind, to_histories
from rfmrisk.proxy import ProxyLabeler, ProxyTargetClassifier, suggest_outcome
from rfmrisk.scorecard import Scorecard
from rfmrisk.woe import WOEEncoder

__version__ = "0.1.0"
__all__ = [
    "CategoryAggregator",
    "ProxyLabeler",
    "ProxyTargetClassifier",
    "RFMAggregator",
    "Scorecard",
    "SpendAggregator",
    "TemporalAggregator",
    "WOEEncoder",
    "customer_features",
    "read_transactions",
    "rewind",
    "suggest_outcome",
    "to_histories",
]
