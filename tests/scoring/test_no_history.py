"""A customer without any history is a state of its own."""

import pandas as pd
import pytest

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

from rfmrisk.training import train


@pytest.fixture(scope="module")
def log():
    return make_transactions(n_customers=300, random_state=0, return_defaults=True)


@pytest.mark.parametrize("from_proxy", [True, False])
def test_who_has_no_history_is_riskiest_under_a_proxy(log, from_proxy):
    """Probability 1 and the lowest score; where outcomes are known, they are learned."""
    transactions, bad = log
    histories = to_histories(transactions)
    y = None if from_proxy else bad.loc[histories.index]
    options = {"models": ["decision_tree"], "cv": 2, "outcome": "30D", "n_cutoffs": 1}
    model = train(histories, y, **options, proxy=False).model
    asked = pd.DataFrame({"customer": [*histories.index[:40], "a stranger"], "as_of": "2019-05-14"})
    scores = model.score(to_histories(transactions, as_of=asked))
    stranger, others = scores.loc["a stranger"], scores.drop("a stranger")
    assert (stranger["probability"] == 1) == from_proxy
    if from_proxy:
        assert stranger["is_high_risk"] == 1
        assert stranger["score"] <= others["score"].min()
