"""A model against outcomes, and a model over time.

Each name is imported when it is first used: the command line asks this package for its parser, and
does not wait for what fits models.
"""

from typing import TYPE_CHECKING

from rfmrisk._lazy import lazily

if TYPE_CHECKING:
    from rfmrisk.validation.default_rates import (
        BrierDecomposition,
        HosmerLemeshow,
        RateTest,
        Spiegelhalter,
        binomial_test,
        brier_decomposition,
        hosmer_lemeshow_test,
        jeffreys_test,
        spiegelhalter_test,
    )
    from rfmrisk.validation.discrimination import (
        AucFall,
        DeLong,
        auc_fall_test,
        delong_test,
        ranking_intervals,
    )
    from rfmrisk.validation.monitoring import MonitorReport, monitor_model
    from rfmrisk.validation.panels import MonitorDisplay, ValidationDisplay
    from rfmrisk.validation.shifts import herfindahl_index, migration_matrix, psi_critical_value
    from rfmrisk.validation.validate import ValidationReport, validate_model
    from rfmrisk.validation.writing import write_monitor, write_validation

__all__ = [
    "AucFall",
    "BrierDecomposition",
    "DeLong",
    "HosmerLemeshow",
    "MonitorDisplay",
    "MonitorReport",
    "RateTest",
    "Spiegelhalter",
    "ValidationDisplay",
    "ValidationReport",
    "auc_fall_test",
    "binomial_test",
    "brier_decomposition",
    "delong_test",
    "herfindahl_index",
    "hosmer_lemeshow_test",
    "jeffreys_test",
    "migration_matrix",
    "monitor_model",
    "psi_critical_value",
    "ranking_intervals",
    "spiegelhalter_test",
    "validate_model",
    "write_monitor",
    "write_validation",
]

_HOMES = {
    "default_rates": [
        "BrierDecomposition",
        "HosmerLemeshow",
        "RateTest",
        "Spiegelhalter",
        "binomial_test",
        "brier_decomposition",
        "hosmer_lemeshow_test",
        "jeffreys_test",
        "spiegelhalter_test",
    ],
    "discrimination": ["AucFall", "DeLong", "auc_fall_test", "delong_test", "ranking_intervals"],
    "monitoring": ["MonitorReport", "monitor_model"],
    "panels": ["MonitorDisplay", "ValidationDisplay"],
    "shifts": ["herfindahl_index", "migration_matrix", "psi_critical_value"],
    "validate": ["ValidationReport", "validate_model"],
    "writing": ["write_monitor", "write_validation"],
}


__getattr__, __dir__ = lazily(__name__, _HOMES)
