"""The curve over the number of outcomes, and the sentence of what the proxy is worth."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rfmrisk import ProxyTargetClassifier, RFMAggregator, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import OutcomeCurve, outcome_curve


def curve(supervised, updated, sizes=(100, 200, 400), proxy=0.6):
    """Make a curve by its means."""
    table = pd.DataFrame(
        {"proxy": proxy, "supervised": supervised, "updated": updated},
        index=pd.Index(sizes, name="n_outcomes"),
    )
    for name in list(table.columns):
        table[f"{name}_low"] = table[name] - 0.01
        table[f"{name}_high"] = table[name] + 0.01
    return OutcomeCurve(table, 1_000, 200, 20)


def test_the_crossing_is_found_between_sizes():
    """Half way between 100 and 400 on a logarithmic scale lies 200."""
    found = curve([0.55, 0.65], [0.6, 0.66], sizes=(100, 400))
    assert found.worth == pytest.approx(200)
    assert found.verdict.startswith("the proxy is worth as much as about 200 outcomes (AUC 0.600)")


def test_a_later_dip_counts():
    """What stays above from is what counts, not the first time it is above."""
    assert curve([0.61, 0.59, 0.61], [0.62] * 3).worth == pytest.approx(np.sqrt(200 * 400))


@pytest.mark.parametrize(
    ("supervised", "updated", "words"),
    [
        ([0.5, 0.5, 0.5], [0.6] * 3, "worth more than the 400 outcomes .* not outgrown at 400"),
        ([0.7] * 3, [0.7] * 3, "worth fewer than 100 outcomes .* adds nothing to 100 or more"),
        ([0.5, 0.6, 0.7], [0.62, 0.66, 0.70], "about 200 .* will be outgrown at about"),
    ],
)
def test_the_sentence_says_what_was_found(supervised, updated, words):
    """Worth, and when it is outgrown, each with its ends."""
    found = curve(supervised, updated)
    assert pd.Series([found.verdict]).str.contains(words).all()
    assert "1,000 are known" in repr(found)


def test_it_draws_only_what_is_known():
    """Sizes that there are too few outcomes for are left out; the proxy knows no outcome."""
    log, defaults = make_transactions(n_customers=600, random_state=0, return_defaults=True)
    histories = to_histories(log)
    y = defaults.loc[histories.index].astype(float)
    y.iloc[200:] = np.nan
    model = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    proxy = ProxyTargetClassifier(model, outcome="30D", n_cutoffs=1)
    found = outcome_curve(proxy, model, histories, y, n_draws=2)
    assert found.table.index.tolist() == [25, 50, 100]
    assert (found.n_outcomes, found.n_bad) == (200, int(y.sum()))
    assert np.ptp(found.table["proxy"]) == 0
    again = outcome_curve(proxy, model, histories, y, n_draws=2)
    pd.testing.assert_frame_equal(found.table, again.table)
    with pytest.raises(ValueError, match=r"needs as many outcomes .* 200 are known"):
        outcome_curve(proxy, model, histories, y, sizes=(500,))
    with pytest.raises(ValueError, match=r"'n_draws' .* int in the range \[1, inf\). Got 0 "):
        outcome_curve(proxy, model, histories, y, n_draws=0)
