"""Expected and observed bad rates: tables, the tests of the whole, and a recalibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from rfmrisk.validation.default_rates import (
    binomial_test,
    hosmer_lemeshow_test,
    jeffreys_test,
    probability_groups,
    spiegelhalter_test,
)
from rfmrisk.validation.power import (
    chi2_power,
    power_note,
    rate_power,
    spiegelhalter_power,
)

if TYPE_CHECKING:
    from rfmrisk.validation.targets import Floats

_SUREST = 1e-6
_RATES = [
    "n",
    "n_bad",
    "expected",
    "observed",
    "jeffreys_p_value",
    "binomial_p_value",
    "power",
]


def rates_by(bad: Any, probability: Floats, group: pd.Series | None) -> pd.DataFrame:
    """Return expected and observed rates by group, each tested.

    Rows whose group is missing are in none; of no groups the table is empty.
    """
    if group is None:
        return pd.DataFrame(columns=_RATES)
    rows = pd.DataFrame({"bad": bad, "p": probability, "group": group.to_numpy()})
    table = rows.groupby("group", observed=True).agg(
        n=("bad", "size"), n_bad=("bad", "sum"), expected=("p", "mean")
    )
    n, n_bad, expected = (table[name].to_numpy() for name in ("n", "n_bad", "expected"))
    table["observed"] = n_bad / n
    table["jeffreys_p_value"] = jeffreys_test(n_bad, n, expected).p_value
    table["binomial_p_value"] = binomial_test(n_bad, n, expected).p_value
    table["power"] = [rate_power(int(k), float(p)) for k, p in zip(n, expected, strict=True)]
    return table.rename_axis(str(group.name))


def calibration_tests(bad: Any, probability: Floats, *, fitted: bool) -> pd.DataFrame:
    """Return the tests of the probabilities of the whole sample.

    The power of each is that against rates half as high again as expected.
    """
    whole = jeffreys_test(int(np.sum(bad)), len(bad), float(probability.mean()))
    power = rate_power(len(bad), float(probability.mean()))
    lines: dict[str, tuple[float, float, float]] = {
        "whole sample": (whole.statistic, whole.p_value, power)
    }
    group = probability_groups(probability, 10)
    enough = group.max() + 1 >= (3 if fitted else 1)
    if enough:
        found = hosmer_lemeshow_test(bad, probability, fitted=fitted)
        power = chi2_power(probability, group, found.degrees_of_freedom)
        lines["Hosmer-Lemeshow"] = (found.statistic, found.p_value, power)
    else:
        lines["Hosmer-Lemeshow"] = (np.nan, np.nan, np.nan)
    if np.isin(probability, [0, 0.5, 1]).all():
        lines["Spiegelhalter"] = (np.nan, np.nan, np.nan)
    else:
        z = spiegelhalter_test(bad, probability)
        lines["Spiegelhalter"] = (z.statistic, z.p_value, spiegelhalter_power(probability))
    columns = ["statistic", "p_value", "power"]
    table = pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("test")
    table["reading"] = ["" if np.isnan(power) else power_note(power) for power in table["power"]]
    return table


def calibration_line(bad: Any, probability: Floats) -> pd.DataFrame:
    """Fit outcomes on the model's log-odds by maximum likelihood (Cox 1958, Biometrika 45).

    Returns
    -------
    DataFrame of shape (2, 4)
        Intercept (0 where calibrated) and slope (1; under 1 the probabilities are too extreme),
        with standard errors and 95 % intervals. NaN where the log-odds are all the same, or
        separate the outcomes.
    """
    x = np.column_stack([np.ones(len(probability)), _log_odds(probability)])
    theta, covariance = np.array([0.0, 1.0]), np.full((2, 2), np.nan)
    if np.ptp(x[:, 1]) > 0:
        for _ in range(50):
            p = expit(x @ theta)
            hessian = (x * (p * (1 - p))[:, None]).T @ x
            if np.linalg.cond(hessian) > 1e12:
                theta = np.full(2, np.nan)
                break
            step = np.linalg.solve(hessian, x.T @ (bad - p))
            theta = theta + step
            covariance = np.linalg.inv(hessian)
            if np.abs(step).max() < 1e-10:
                break
    else:
        theta = np.full(2, np.nan)
    error = np.sqrt(np.diag(covariance))
    half = stats.norm.ppf(0.975) * error
    return pd.DataFrame(
        {"value": theta, "standard_error": error, "low": theta - half, "high": theta + half},
        index=pd.Index(["intercept", "slope"], name="parameter"),
    )


def recalibrated(bad: Any, probability: Floats, line: pd.DataFrame) -> pd.DataFrame:
    """Return what the recalibration by a line would change, on the rows that it was fitted on."""
    intercept, slope = line["value"]
    after = probability
    if np.isfinite(intercept):
        after = expit(intercept + slope * _log_odds(probability))
    return pd.DataFrame(
        {
            name: (
                float(p.mean()),
                float(np.mean((p - bad) ** 2)),
                float(log_loss(bad, np.clip(p, _SUREST, 1 - _SUREST), labels=[0, 1])),
            )
            for name, p in (("now", probability), ("recalibrated", after))
        },
        index=pd.Index(["mean probability", "Brier score", "log loss"], name="figure"),
    )


def _log_odds(probability: Floats) -> Floats:
    return logit(np.clip(probability, _SUREST, 1 - _SUREST))
