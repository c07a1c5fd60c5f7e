"""Credit-risk models from transactions without default labels.

Each name is imported when it is first used: a process that only makes histories, such as a
worker of a cluster, does not wait for what fits models.
"""

from typing import TYPE_CHECKING

from rfmrisk._lazy import lazily

if TYPE_CHECKING:
    from rfmrisk.aggregation import (
        ApplicationColumns,
        CategoryAggregator,
        RFMAggregator,
        SpendAggregator,
        TemporalAggregator,
        customer_features,
    )
    from rfmrisk.histories import (
        describe_histories,
        histories_in_parts,
        read_transactions,
        rewind,
        to_histories,
    )
    from rfmrisk.proxy import (
        OutcomeUpdatedClassifier,
        ProxyLabeler,
        ProxyTargetClassifier,
        RFMSegments,
        label_stability,
        leakage_report,
        rolling_origin,
        suggest_outcome,
        validate_proxy,
    )
    from rfmrisk.scorecard import (
        Grades,
        Scorecard,
        StepwiseSelector,
        cutoff_table,
        gains_table,
        swap_set,
    )
    from rfmrisk.woe import WOEEncoder, compare_classing

__version__ = "0.1.0"
__all__ = [
    "ApplicationColumns",
    "CategoryAggregator",
    "Grades",
    "OutcomeUpdatedClassifier",
    "ProxyLabeler",
    "ProxyTargetClassifier",
    "RFMAggregator",
    "RFMSegments",
    "Scorecard",
    "SpendAggregator",
    "StepwiseSelector",
    "TemporalAggregator",
    "WOEEncoder",
    "compare_classing",
    "customer_features",
    "cutoff_table",
    "describe_histories",
    "gains_table",
    "histories_in_parts",
    "label_stability",
    "leakage_report",
    "read_transactions",
    "rewind",
    "rolling_origin",
    "suggest_outcome",
    "swap_set",
    "to_histories",
    "validate_proxy",
]

_HOMES = {
    "aggregation": [
        "ApplicationColumns",
        "CategoryAggregator",
        "RFMAggregator",
        "SpendAggregator",
        "TemporalAggregator",
        "customer_features",
    ],
    "histories": [
        "describe_histories",
        "histories_in_parts",
        "read_transactions",
        "rewind",
        "to_histories",
    ],
    "proxy": [
        "OutcomeUpdatedClassifier",
        "ProxyLabeler",
        "ProxyTargetClassifier",
        "RFMSegments",
        "label_stability",
        "leakage_report",
        "rolling_origin",
        "suggest_outcome",
        "validate_proxy",
    ],
    "scorecard": [
        "Grades",
        "Scorecard",
        "StepwiseSelector",
        "cutoff_table",
        "gains_table",
        "swap_set",
    ],
    "woe": ["WOEEncoder", "compare_classing"],
}


__getattr__, __dir__ = lazily(__name__, _HOMES)
