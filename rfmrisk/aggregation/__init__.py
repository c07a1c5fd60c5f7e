"""Histories to customer features: recency, frequency, monetary, spending, categories, rhythm."""

from rfmrisk.aggregation.application import ApplicationColumns
from rfmrisk.aggregation.base import HistoryAggregator
from rfmrisk.aggregation.category import CategoryAggregator
from rfmrisk.aggregation.rfm import RFMAggregator
from rfmrisk.aggregation.spend import SpendAggregator
from rfmrisk.aggregation.temporal import TemporalAggregator
from rfmrisk.aggregation.union import customer_features

__all__ = [
    "ApplicationColumns",
    "CategoryAggregator",
    "HistoryAggregator",
    "RFMAggregator",
    "SpendAggregator",
    "TemporalAggregator",
    "customer_features",
]
