"""Acceptance, errors and calibration by group, in the terms of the fairness page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

FOUR_FIFTHS = 0.8


def fairness_table(bad: Any, answers: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
    """Compare groups; those whose group is missing are a group of their own.

    Returns
    -------
    DataFrame, one row per group
        ``n``, ``n_bad``; ``accepted``, the share below the threshold, with its 95 % interval;
        ``ratio``, acceptance over that of the group accepted most often, with the 95 % interval
        of its logarithm's standard error (four fifths: 29 CFR 1607.4(D)); ``goods_refused`` and
        ``bads_accepted``, the two errors, with intervals; ``expected`` and ``observed`` bad
        rates, the latter with its interval.
    """
    high = answers["is_high_risk"].to_numpy() == 1
    names = group.astype(object).where(group.notna(), "missing").astype(str).to_numpy()
    lines: dict[str, dict[str, float]] = {}
    for name in sorted(set(names)):
        inside = names == name
        y, refused = bad[inside] == 1, high[inside]
        lines[name] = {
            "n": int(inside.sum()),
            "n_bad": int(y.sum()),
            **_share("accepted", ~refused),
            **_share("goods_refused", refused[~y]),
            **_share("bads_accepted", ~refused[y]),
            "expected": float(answers["probability"].to_numpy()[inside].mean()),
            **_share("observed", y),
        }
    table = pd.DataFrame.from_dict(lines, orient="index").rename_axis("group")
    best: Any = table["accepted"].idxmax()
    ratio = table["accepted"] / table.loc[best, "accepted"]
    error = np.sqrt(_relative_variance(table) + _relative_variance(table).loc[best])
    error.loc[best] = 0.0
    half = stats.norm.ppf(0.975) * error
    at = list(table.columns).index("accepted_high") + 1
    for k, (name, values) in enumerate(
        {
            "ratio": ratio,
            "ratio_low": ratio * np.exp(-half),
            "ratio_high": ratio * np.exp(half),
        }.items()
    ):
        table.insert(at + k, name, values)
    return table


def fairness_verdict(table: pd.DataFrame) -> str:
    """Say whether acceptance fails the four-fifths ratio, and how sure that is."""
    worst: Any = table["ratio"].idxmin()
    ratio, low, high = table.loc[worst, ["ratio", "ratio_low", "ratio_high"]]
    if len(table) == 1:
        return f"one group only, {worst}: nothing to compare"
    if np.isnan(ratio):
        return "nobody is accepted: there is nothing to compare"
    measured = f"{worst} at {ratio:.2f} [{low:.2f}, {high:.2f}] of {table['accepted'].idxmax()}"
    if ratio >= FOUR_FIFTHS:
        sure = "" if low >= FOUR_FIFTHS else ", but the interval does not exclude it"
        return f"no group is accepted under four fifths as often as another{sure}: {measured}"
    sure = "" if high < FOUR_FIFTHS else ", by what may be chance"
    return f"accepted under four fifths as often{sure}: {measured}"


def _share(name: str, values: Any) -> dict[str, float]:
    """Return a share with Wilson's 95 % interval (Wilson 1927)."""
    n = len(values)
    if not n:
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    found = stats.binomtest(int(np.sum(values)), n)
    interval = found.proportion_ci(method="wilson")
    return {
        name: found.statistic,
        f"{name}_low": float(interval.low),
        f"{name}_high": float(interval.high),
    }


def _relative_variance(table: pd.DataFrame) -> pd.Series:
    accepted = table["accepted"]
    return (1 - accepted) / (accepted * table["n"]).where(accepted > 0)
