"""Parameters out of range are refused by scikit-learn's validation, and True is no number."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    generate_invalid_param_val,
    make_constraint,
)

from rfmrisk import (
    Grades,
    ProxyLabeler,
    WOEEncoder,
    cutoff_table,
    gains_table,
    label_stability,
    leakage_report,
    rolling_origin,
    to_histories,
    validate_proxy,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.metrics import population_stability_index, stability_report
from rfmrisk.proxy import outcome_curve
from rfmrisk.proxy.target import derive_target
from rfmrisk.validation import (
    brier_decomposition,
    hosmer_lemeshow_test,
    psi_critical_value,
    ranking_intervals,
)
from tests.test_common import ESTIMATORS

Y, SCORE = np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.4, 0.6])
MODEL = LogisticRegression()
HISTORIES = pd.DataFrame()
COUNTS = [
    (make_transactions, (), "n_customers"),
    (make_transactions, (), "days"),
    (validate_proxy, (SCORE, Y), "n_resamples"),
    (label_stability, (ProxyLabeler(), HISTORIES), "n_resamples"),
    (leakage_report, (MODEL, HISTORIES, Y), "n_resamples"),
    (leakage_report, (MODEL, HISTORIES, Y), "cv"),
    (rolling_origin, (HISTORIES,), "n"),
    (outcome_curve, (MODEL, MODEL, HISTORIES, Y), "n_draws"),
    (outcome_curve, (MODEL, MODEL, HISTORIES, Y), "random_state"),
    (derive_target, (HISTORIES,), "n_cutoffs"),
    (gains_table, (Y, SCORE), "n_bands"),
    (cutoff_table, (Y, SCORE), "n_bootstraps"),
    (cutoff_table, (Y, SCORE), "random_state"),
    (population_stability_index, (SCORE, SCORE), "bins"),
    (stability_report, (HISTORIES, HISTORIES), "bins"),
    (ranking_intervals, (Y, SCORE), "n_resamples"),
    (brier_decomposition, (Y, SCORE), "n_groups"),
    (hosmer_lemeshow_test, (Y, SCORE), "n_groups"),
    (psi_critical_value, (100, 100), "n_bins"),
]


@pytest.mark.parametrize("value", [True, -1, 2.5, "3", np.nan])
@pytest.mark.parametrize(
    ("function", "given", "name"), COUNTS, ids=[f"{f.__name__}-{name}" for f, _, name in COUNTS]
)
def test_a_count_is_a_whole_number(function, given, name, value):
    """What is none is refused by name, before anything is computed; True is not 1."""
    match = f"The '{name}' parameter of {function.__name__} must be .*. Got {value!r} instead"
    with pytest.raises(InvalidParameterError, match=match):
        function(*given, **{name: value})


# WOEEncoder takes some parameters by column, and checks them itself.
DECLARING = [each for each in ESTIMATORS if not isinstance(each, WOEEncoder)]


@pytest.mark.parametrize("estimator", [*DECLARING, Grades()], ids=lambda each: type(each).__name__)
def test_what_an_estimator_declares_is_refused_by_fit(estimator):
    """Each constraint names a parameter, and a value outside is refused by that name."""
    names = estimator.get_params(deep=False)
    for name, constraints in type(estimator)._parameter_constraints.items():
        assert name in names
        values = [object()]
        for constraint in map(make_constraint, constraints):
            if isinstance(constraint, Interval):
                values += [True, generate_invalid_param_val(constraint)]
        for value in values:
            changed = type(estimator)(**{**estimator.get_params(deep=False), name: value})
            with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of "):
                changed.fit(pd.DataFrame({"x": SCORE}), Y)


def test_the_estimator_that_refuses_is_named():
    """A function that is given an estimator does not call the estimator's parameter its own."""
    histories = to_histories(make_transactions(n_customers=50, random_state=0))
    with pytest.raises(InvalidParameterError, match="'n_clusters' parameter of ProxyLabeler"):
        label_stability(ProxyLabeler(n_clusters=True), histories)
