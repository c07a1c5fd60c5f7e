"""The proxy, updated by outcomes: itself without any, and the supervised model with many."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rfmrisk import (
    OutcomeUpdatedClassifier,
    ProxyTargetClassifier,
    RFMAggregator,
    SpendAggregator,
    WOEEncoder,
    to_histories,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy.updating import ENOUGH
from tests.conftest import examples


@pytest.fixture(scope="module")
def bank():
    """Make 1,500 customers of whom it is known who defaulted."""
    log, defaults = make_transactions(n_customers=1_500, random_state=1, return_defaults=True)
    histories = to_histories(log)
    return histories, defaults.loc[histories.index].to_numpy(dtype=float)


def small():
    return make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())


def card():
    return make_pipeline(SpendAggregator(windows=(None,)), WOEEncoder(), LogisticRegression())


def proxy():
    return ProxyTargetClassifier(small(), outcome="30D", n_cutoffs=1)


def known(y, n, seed=0):
    """Forget all but n outcomes."""
    kept = np.random.default_rng(seed).choice(len(y), n, replace=False)
    forgotten = np.full(len(y), np.nan)
    forgotten[kept] = y[kept]
    return forgotten


def with_newcomers(bank, n):
    """Add customers without a history, every other of whom is bad."""
    histories, y = bank
    log, _ = make_transactions(n_customers=1_500, random_state=1, return_defaults=True)
    new = pd.DataFrame(
        {"customer": [f"new {i}" for i in range(n)], "as_of": histories["as_of"].iloc[0]}
    )
    old = pd.DataFrame({"customer": histories.index, "as_of": histories["as_of"].to_numpy()})
    return to_histories(log, as_of=pd.concat([old, new])), np.append(y, np.arange(n) % 2)


def test_without_outcomes_it_is_the_proxy(bank):
    """No outcome, or none of one class, leaves the proxy's answers as they are, bit for bit."""
    histories, y = bank
    alone = proxy().fit(histories).predict_proba(histories)
    for none in (np.full(len(y), np.nan), np.where(np.arange(len(y)) < 9, 0.0, np.nan)):
        updated = OutcomeUpdatedClassifier(proxy(), small()).fit(histories, none)
        assert updated.weights_ is None
        np.testing.assert_array_equal(updated.predict_proba(histories), alone)


def test_a_handful_of_outcomes_keeps_the_order_of_the_proxy(bank):
    """With a single bad there is no supervised model: only the level is learned."""
    histories, y = bank
    few = np.full(len(y), np.nan)
    few[np.flatnonzero(y == 1)[:1]] = 1
    few[np.flatnonzero(y == 0)[:12]] = 0
    updated = OutcomeUpdatedClassifier(proxy(), small()).fit(histories, few)
    assert updated.weights_[1] == 0
    assert updated.classifier_ is None
    alone = proxy().fit(histories).decision_function(histories)
    order = np.argsort(alone)
    assert (np.diff(updated.decision_function(histories)[order]) >= -1e-12).all()


def test_many_outcomes_outgrow_the_proxy(bank):
    """The weight moves to the supervised model, and both are used in between."""
    histories, y = bank
    shares = []
    for n in (60, 300, 1_500):
        updated = OutcomeUpdatedClassifier(proxy(), card()).fit(histories, known(y, n))
        own = [
            updated.proxy_.predict_proba(histories)[:, 1],
            updated.classifier_.predict_proba(histories)[:, 1],
        ]
        scale = [np.std(np.log(p / (1 - p))) for p in own]
        pull = updated.weights_ * scale
        shares.append(pull[1] / pull.sum())
    assert shares[0] < shares[1] < shares[2]
    assert shares[0] < 0.5 < shares[2]


@pytest.mark.slow
def test_it_is_never_clearly_worse_than_the_better_of_the_two():
    """Over draws and numbers of outcomes, on customers that were not drawn from."""
    log, defaults = make_transactions(n_customers=4_000, random_state=1, return_defaults=True)
    histories = to_histories(log)
    y = defaults.loc[histories.index].to_numpy(dtype=float)
    train, test = histories.iloc[::2], histories.iloc[1::2]
    alone = FrozenEstimator(proxy().fit(train))
    of_proxy = roc_auc_score(y[1::2], alone.predict_proba(test)[:, 1])
    for n in (50, 200, 1_000):
        aucs = []
        for draw in range(8):
            some = known(y[::2], n, draw)
            rows = ~np.isnan(some)
            supervised = card().fit(train[rows], some[rows])
            updated = OutcomeUpdatedClassifier(alone, card()).fit(train, some)
            both = [model.predict_proba(test)[:, 1] for model in (supervised, updated)]
            aucs.append([roc_auc_score(y[1::2], risk) for risk in both])
        supervised, updated = np.mean(aucs, axis=0)
        assert updated >= max(supervised, of_proxy) - 0.01


def test_probabilities_are_of_default(bank):
    """Their mean is the bad rate, whatever share the proxy flags."""
    histories, y = bank
    updated = OutcomeUpdatedClassifier(proxy(), card()).fit(histories, known(y, 600))
    assert updated.predict_proba(histories)[:, 1].mean() == pytest.approx(y.mean(), abs=0.03)


def test_newcomers_are_riskiest_until_enough_of_them_are_known(bank):
    """Without outcomes of theirs they are surely bad; with some their own bad rate is learned."""
    histories, y = with_newcomers(bank, 2 * ENOUGH)
    unknown = y.copy()
    unknown[-2 * ENOUGH :] = np.nan
    updated = OutcomeUpdatedClassifier(proxy(), small()).fit(histories, unknown)
    assert updated.no_history_ is None
    assert (updated.predict_proba(histories)[-2 * ENOUGH :, 1] == 1).all()
    assert (updated.predict_proba(histories)[: -2 * ENOUGH, 1] < 1).all()
    learned = OutcomeUpdatedClassifier(proxy(), small_of_all()).fit(histories, y)
    assert learned.no_history_ is not None
    assert learned.predict_proba(histories)[-2 * ENOUGH :, 1].mean() == pytest.approx(0.5, abs=0.1)


def small_of_all():
    return make_pipeline(RFMAggregator(), WOEEncoder(), LogisticRegression())


def test_decisions_of_a_customer_share_a_fold(bank):
    """A customer with several decisions is never judged by a model that has seen another."""
    histories, y = bank
    twice = pd.concat([histories.iloc[:200], histories.iloc[:200]])
    seen = []

    class Watching(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append(set(X.index))
            return super().fit(X, y, sample_weight)

    model = make_pipeline(RFMAggregator(), Watching(max_iter=10_000, solver="liblinear"))
    OutcomeUpdatedClassifier(proxy(), model).fit(twice, np.tile(y[:200], 2))
    whole, *folds = seen
    assert sum(len(whole - fold) for fold in folds) == len(whole)


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 120))
def test_probabilities_are_probabilities(bank, seed, n):
    """Whatever few outcomes are known, the answers are between 0 and 1 and in the proxy's order."""
    histories, y = bank
    updated = OutcomeUpdatedClassifier(proxy(), small()).fit(
        histories.iloc[:300], known(y[:300], n, seed)
    )
    found = updated.predict_proba(histories)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert updated.n_outcomes_ == n


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1], "one value for each of the 1,500 rows; got"),
        ([2] * 1_500, r"NaN \(not known yet\); got also \[2.0\]"),
        (["good"] * 1_500, "y must be 0"),
    ],
)
def test_wrong_outcomes_are_named(bank, y, message):
    """What was got and what is allowed."""
    with pytest.raises(ValueError, match=message):
        OutcomeUpdatedClassifier(proxy(), small()).fit(bank[0], y)


def test_outcomes_in_another_order_are_refused(bank):
    """A Series is not silently taken by position."""
    histories, y = bank
    with pytest.raises(ValueError, match="in another order"):
        OutcomeUpdatedClassifier(proxy(), small()).fit(
            histories, pd.Series(y, histories.index).iloc[::-1]
        )


@pytest.mark.parametrize("cv", [1, True, 2.5])
def test_wrong_folds_are_named(bank, cv):
    """A whole number of at least 2."""
    with pytest.raises(ValueError, match=r"'cv' .* int in the range \[2, inf\)"):
        OutcomeUpdatedClassifier(proxy(), small(), cv=cv).fit(*bank)
