"""Credit-risk models from transactions without default labels."""

from rfmrisk.aggregation import (
    CategoryAggregator,
    RFMAggregator,
    SpendAggregator,
    TemporalAggregator,
    customer_features,
)
from rfmrisk.histories import read_transactions, rewind, to_histories
from rfmrisk.partitions import histories_in_parts
from rfmrisk.proxy import (
    ProxyLabeler,
    ProxyTargetClassifier,
    RFMSegments,
    label_stability,
    leakage_report,
    rolling_origin,
    suggest_outcome,
    validate_proxy,
)
from rfmrisk.scorecard import Scorecard
from rfmrisk.woe import WOEEncoder

__version__ = "0.1.0"
__all__ = [
    "CategoryAggregator",
    "ProxyLabeler",
    "ProxyTargetClassifier",
    "RFMAggregator",
    "RFMSegments",
    "Scorecard",
    "SpendAggregator",
    "TemporalAggregator",
    "WOEEncoder",
    "customer_features",
    "histories_in_parts",
    "label_stability",
    "leakage_report",
    "read_transactions",
    "rewind",
    "rolling_origin",
    "suggest_outcome",
    "to_histories",
    "validate_proxy",
]
