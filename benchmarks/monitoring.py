"""How soon the monitor turns red after a drift begins, and how often without one.

Run ``python -m benchmarks monitoring``. Banks of three years of applications are simulated: six
characteristics of an applicant, from which the odds of default follow. A scorecard learns from the
applications of a year before, and `rfmrisk.validation.monitor_model` watches the three years by
month, with all outcomes known. In a quarter of the banks nothing changes. In the others one thing
does from the 19th month on: who applies, how many of the same people default, or which of them.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from rfmrisk import Scorecard
from rfmrisk.validation import monitor_model

BEGINS, N_MONTHS = 18, 36
COLUMNS = ["income", "debt", "age", "term", "visits", "balance"]
EFFECTS = np.array([0.8, -0.6, 0.3, -0.3, 0.0, 0.5])
DRIFTS = ("none", "other applicants", "more defaults", "other defaults")


def applications(rng: np.random.Generator, n: int, drift: str = "none") -> pd.DataFrame:
    """Return applications with their outcome ``bad``, of a population or of a drifted one."""
    values = rng.normal(size=(n, len(COLUMNS)))
    effects, base = EFFECTS, 2.0
    if drift == "other applicants":
        values[:, :2] += [-0.6, 0.6]
    elif drift == "more defaults":
        base -= 0.8
    elif drift == "other defaults":
        effects = np.roll(EFFECTS, 3)
    table = pd.DataFrame(values, columns=COLUMNS)
    return table.assign(bad=(rng.random(n) < 1 / (1 + np.exp(base + values @ effects))).astype(int))


def lights(seed: int, drift: str, n_each: int) -> pd.Series:
    """Return the light of each month of a bank."""
    rng = np.random.default_rng(seed)
    before = applications(rng, 12 * n_each)
    card = Scorecard().fit(before[COLUMNS], before["bad"])
    first = applications(rng, BEGINS * n_each)
    later = applications(rng, (N_MONTHS - BEGINS) * n_each, drift)
    rows = pd.concat([first, later], ignore_index=True)
    months = pd.period_range("2023-01", periods=N_MONTHS, freq="M").start_time
    when = months.repeat(n_each)
    held_out = applications(rng, 12 * n_each)
    report = monitor_model(
        card,
        rows[COLUMNS],
        time=when,
        outcomes=rows["bad"].to_numpy(),
        initial_auc=roc_auc_score(held_out["bad"], card.predict_proba(held_out[COLUMNS])[:, 1]),
    )
    return report.periods["light"]


def main() -> None:
    """Print how many months were red, and when the first was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-banks", type=int, default=200, help="of each kind (default 200)")
    parser.add_argument("--n-each", type=int, default=400, help="a month (default 400)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for place, drift in enumerate(DRIFTS):
        began = time.process_time()
        found = [
            lights(1_000 * place + bank, drift, options.n_each) for bank in range(options.n_banks)
        ]
        red = np.array([light == "red" for light in found])
        amber = np.array([light == "amber" for light in found])
        quiet, after = red[:, :BEGINS], red[:, BEGINS:]
        texts = [f"{drift:17} {options.n_banks} banks: red before it {quiet.mean():.1%} of months"]
        texts.append(f"amber {amber[:, :BEGINS].mean():.1%}")
        texts.append(f"red after it {after.mean():.1%}")
        if drift != "none":
            texts.append(f"within two months in {after[:, :2].any(axis=1).mean():.1%} of banks")
        print(f"{', '.join(texts)} ({time.process_time() - began:.0f} CPU s)", flush=True)


if __name__ == "__main__":
    main()
