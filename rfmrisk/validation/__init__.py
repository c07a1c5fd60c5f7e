"""A model against outcomes, and a model over time."""

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
from rfmrisk.validation.shifts import herfindahl_index, migration_matrix, psi_critical_value

__all__ = [
    "AucFall",
    "BrierDecomposition",
    "DeLong",
    "HosmerLemeshow",
    "RateTest",
    "Spiegelhalter",
    "auc_fall_test",
    "binomial_test",
    "brier_decomposition",
    "delong_test",
    "herfindahl_index",
    "hosmer_lemeshow_test",
    "jeffreys_test",
    "migration_matrix",
    "psi_critical_value",
    "ranking_intervals",
    "spiegelhalter_test",
]
