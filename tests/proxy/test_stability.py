"""label_stability counts the labels that flip, and finds an unstable labeler unstable."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from rfmrisk import ProxyLabeler, RFMAggregator, rewind, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import label_stability

NOTHING_CHANGES = ["other seeds", "rows shuffled", "amounts times 1000"]


@pytest.fixture(scope="module")
def histories():
    """Pack the histories of 600 customers."""
    return to_histories(make_transactions(n_customers=600, random_state=0))


def test_the_default_label_is_stable_on_the_sample_bank():
    """Under 1 % flip on average, and none with another seed, order or currency."""
    bank = to_histories(make_transactions(random_state=0))
    stability = label_stability(ProxyLabeler(), bank, n_resamples=20)
    table = stability.table
    assert table.loc["bootstrap of customers", "flips_mean"] < 0.01
    assert table.loc["top 0.5% spenders removed", "flips_mean"] < 0.01
    assert (table.loc[NOTHING_CHANGES, "flips_max"] == 0).all()
    assert (table.loc[NOTHING_CHANGES, "ari_mean"] == 1).all()
    assert stability.verdict.startswith("stable")
    assert "bootstrap of customers" in repr(stability)


@pytest.mark.parametrize("monetary", ["gross", "net"])
@pytest.mark.parametrize("seed", range(5))
def test_the_default_label_is_stable_on_350_customers(seed, monetary):
    """Under 4 % flip under a bootstrap of a small sample."""
    small = to_histories(make_transactions(n_customers=350, random_state=seed))
    labeler = make_pipeline(RFMAggregator(monetary=monetary), ProxyLabeler())
    table = label_stability(labeler, small, n_resamples=20).table
    assert table.loc["bootstrap of customers", "flips_mean"] < 0.04


@pytest.mark.slow
@pytest.mark.parametrize("monetary", ["gross", "net"])
def test_the_default_label_is_stable_on_real_logs(real_log, monetary):
    """Under 1 % flip on the whole of each log, and under 4 % on samples of 350 customers."""
    log, roles = real_log
    real = to_histories(log, **roles)
    labeler = make_pipeline(RFMAggregator(monetary=monetary), ProxyLabeler())
    table = label_stability(labeler, real, n_resamples=20).table
    assert table.loc["bootstrap of customers", "flips_mean"] < 0.01
    assert table.loc["top 0.5% spenders removed", "flips_mean"] < 0.01
    assert (table.loc[NOTHING_CHANGES, "flips_max"] == 0).all()
    for seed in range(5):
        sample = real.sample(350, random_state=seed).sort_index()
        small = label_stability(labeler, sample, n_resamples=10).table
        assert small.loc["bootstrap of customers", "flips_mean"] < 0.04


def test_flips_are_those_of_a_refit_by_hand(histories):
    """The shift of as_of compares the labels of the customers known at both dates."""
    table = label_stability(ProxyLabeler(), histories, n_resamples=1, window="60D").table
    past = rewind(histories, "7D")
    labels = make_pipeline(RFMAggregator(window="60D"), ProxyLabeler())
    now = labels.fit(histories).predict(histories.loc[past.index])
    then = labels.fit(past).predict(past)
    assert table.loc["as_of 7D earlier", "flips_mean"] == np.mean(now != then)
    assert table.loc["as_of 7D earlier", "flagged_max"] == then.mean()


def test_the_same_seed_gives_the_same_table(histories):
    """random_state fixes every number."""
    tables = [label_stability(ProxyLabeler(), histories, 3, random_state=s).table for s in (0, 0)]
    pd.testing.assert_frame_equal(*tables)


class ByLuck(BaseEstimator):
    """Flags customers by the toss of a coin."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn nothing."""
        self.fitted_ = True
        return self

    def predict(self, X):
        """Toss the coin."""
        return np.random.RandomState(self.random_state).randint(2, size=len(X))


def test_luck_is_found_unstable(histories):
    """A labeler that follows its seed flips half of the labels, and the verdict says so."""
    stability = label_stability(make_pipeline(RFMAggregator(), ByLuck()), histories, n_resamples=5)
    assert 0.4 < stability.table.loc["other seeds", "flips_mean"] < 0.6
    assert stability.table.loc["other seeds", "ari_mean"] < 0.1
    assert stability.verdict.startswith("unstable")
    assert "other seeds" in stability.verdict


def test_steps_between_are_refitted(histories):
    """A pipeline from histories to labels may have learning steps in between."""
    scaled = QuantileTransformer(n_quantiles=50).set_output(transform="pandas")
    stability = label_stability(
        make_pipeline(RFMAggregator(), scaled, ProxyLabeler()), histories, n_resamples=2
    )
    assert stability.table.loc["bootstrap of customers", "flips_max"] > 0


def test_a_short_log_leaves_gaps_that_show():
    """Shifts longer than the log are missing in the table, not left out of it."""
    log = make_transactions(n_customers=300, random_state=0)
    days = pd.to_datetime(log["TransactionStartTime"], utc=True).dt.tz_localize(None)
    short = to_histories(log[days >= days.max() - pd.Timedelta("5D")])
    table = label_stability(ProxyLabeler(), short, n_resamples=2).table
    assert table["flips_mean"].isna().tolist() == [False] * 6 + [True] * 2 + [False]
    assert table.loc["as_of 14D earlier", "refits"] == 0


class Picky(ProxyLabeler):
    """Refuses samples in which a customer appears twice."""

    def fit(self, X, y=None):
        """Refuse, or fit."""
        if X.index.has_duplicates:
            raise ValueError("too little is left")
        return super().fit(X)


def test_refits_that_fail_are_counted(histories):
    """A labeler that cannot be refitted is not called stable."""
    stability = label_stability(Picky(), histories, n_resamples=3)
    assert stability.table.loc["bootstrap of customers", ["refits", "failed"]].tolist() == [0, 3]
    assert stability.verdict == "unstable: 3 refits found too few different customers"


@pytest.mark.parametrize(
    ("labeler", "options", "message"),
    [
        (ProxyLabeler(), {"n_resamples": 0}, r"'n_resamples' .* int in the range \[1, inf\)"),
        (make_pipeline(RFMAggregator(), ProxyLabeler()), {"window": "30D"}, "its own windows"),
        (make_pipeline(ProxyLabeler()), {}, "needs an aggregator and a labeler"),
        (ProxyLabeler(n_clusters=1000), {}, "1000 clusters need as many different customers"),
    ],
)
def test_bad_input_is_refused(histories, labeler, options, message):
    """Each gets one clear error."""
    with pytest.raises(ValueError, match=message):
        label_stability(labeler, histories, **options)


def test_a_flag_of_absence_is_no_stable_label():
    """Where the label is who stayed away, the verdict says that and no share of flips."""
    days = [d for c in range(300) for d in ([c % 60, 99] if c % 3 else [c % 60])]
    log = pd.DataFrame(
        {
            "CustomerId": [c for c in range(300) for _ in range(2 if c % 3 else 1)],
            "TransactionStartTime": pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D"),
            "Amount": 1.0,
        }
    )
    histories = to_histories(log, as_of="2024-04-15")
    stability = label_stability(ProxyLabeler(n_clusters=2), histories, 3, window="10D")
    assert stability.rule.is_absence
    assert stability.verdict.startswith("stable, as every flag of this kind is: high-risk is who")
