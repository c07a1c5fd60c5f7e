"""validate_proxy says whether a risk ranks real defaults, and counts what it cannot compare."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from rfmrisk import ProxyLabeler, RFMAggregator, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import validate_proxy
from rfmrisk.proxy.auc import bootstrap_auc


def bank(risk_effect, seed):
    log, defaults = make_transactions(
        risk_effect=risk_effect, random_state=seed, return_defaults=True
    )
    rfm = RFMAggregator().fit_transform(to_histories(log))
    return pd.Series(ProxyLabeler().fit(rfm).decision_function(rfm), rfm.index), defaults


@pytest.mark.parametrize("seed", range(4))
def test_without_an_effect_it_is_no_better_than_chance(seed):
    """Where risk drives no behaviour the verdict says chance."""
    risk, defaults = bank(0.0, seed)
    assert validate_proxy(risk, defaults).verdict.startswith("no better than chance: AUC 0.")


@pytest.mark.parametrize("seed", range(4))
def test_with_the_default_effect_it_ranks_defaults(seed):
    """Where risk drives behaviour the verdict says that it ranks."""
    risk, defaults = bank(1.0, seed)
    assert validate_proxy(risk, defaults).verdict.startswith("ranks real defaults: AUC 0.6")


def test_the_wrong_way_round_is_said():
    """A risk that ranks backwards is not called chance."""
    risk, defaults = bank(1.0, 0)
    assert "the wrong way round" in validate_proxy(-risk, defaults, 200).verdict


def test_sure_but_useless_is_said():
    """An AUC barely above one half is no success, however many customers prove it."""
    rng = np.random.default_rng(0)
    bad = rng.integers(0, 2, 20_000)
    risk = rng.normal(size=20_000) + 0.1 * bad
    assert validate_proxy(risk, bad, 200).verdict.startswith("hardly better than chance")


def test_its_numbers_are_those_of_the_textbook():
    """AUC, kappa, capture and calibration equal what is computed by hand."""
    rng = np.random.default_rng(0)
    risk = rng.random(1000)
    bad = (rng.random(1000) < risk**2).astype(int)
    labels = (risk > 0.7).astype(int)
    result = validate_proxy(risk, bad, 100, labels=labels)
    assert result.auc == pytest.approx(roc_auc_score(bad, risk))
    assert result.kappa == pytest.approx(cohen_kappa_score(bad, labels))
    top = np.argsort(-risk)[:100]
    assert result.capture_rate == pytest.approx(bad[top].sum() / bad.sum())
    assert result.lift == pytest.approx(bad[top].mean() / bad.mean())
    assert result.table["customers"].tolist() == [100] * 10
    assert result.table.loc[10, "bads"] == bad[top].sum()
    assert result.auc_interval[0] < result.auc < result.auc_interval[1]


def test_ties_are_shared_out_evenly():
    """One risk for all captures a tenth of the bads in a tenth, and has one decile."""
    result = validate_proxy([0.5] * 100, [0] * 80 + [1] * 20, 50)
    assert (result.auc, result.capture_rate, result.lift) == (
        0.5,
        pytest.approx(0.1),
        pytest.approx(1),
    )
    assert len(result.table) == 1
    assert result.verdict.startswith("no better than chance")


def test_customers_are_drawn_with_all_their_rows():
    """Repeating every row leaves the interval of clustered rows as wide as it was."""
    rng = np.random.default_rng(0)
    risk = pd.Series(rng.random(300), index=np.arange(300))
    bad = pd.Series((rng.random(300) < risk).astype(int), index=risk.index)
    once = validate_proxy(risk, bad, 500).auc_interval
    thrice = validate_proxy(pd.concat([risk] * 3), pd.concat([bad] * 3), 500).auc_interval
    naive = validate_proxy(np.tile(risk, 3), np.tile(bad, 3), 500).auc_interval
    assert thrice == pytest.approx(once)
    assert naive[1] - naive[0] < 0.75 * (once[1] - once[0])


def test_ids_on_one_side_only_are_counted():
    """Customers without an outcome are counted, outcomes without a customer warned of."""
    risk = pd.Series([0.1, 0.2, 0.8, 0.9], index=list("abcd"))
    outcome = pd.Series([1, 0, 0, 1], index=list("dbax"))
    with pytest.warns(UserWarning, match="1 of 4 ids of outcome have no risk"):
        result = validate_proxy(risk, outcome, 20)
    assert (result.n_customers, result.n_without_outcome, result.n_without_risk) == (3, 1, 1)
    assert result.auc == 1
    assert "1 without an outcome and 1 outcomes without a risk are not compared" in repr(result)


def test_the_order_of_the_outcomes_does_not_matter():
    """Series are matched by id."""
    risk, defaults = bank(1.0, 0)
    shuffled = defaults.sample(frac=1, random_state=0)
    assert validate_proxy(risk, shuffled, 50).auc == validate_proxy(risk, defaults, 50).auc


def test_the_bootstrap_draws_the_same_samples_for_all_scores():
    """Differences of AUC are paired: a score equal to another never differs from it."""
    rng = np.random.default_rng(0)
    score, bad = rng.random(200), rng.random(200) < 0.3
    aucs = bootstrap_auc(np.stack([score, 2 * score]), bad, pd.RangeIndex(200), 30, 0)
    np.testing.assert_array_equal(aucs[:, 0], aucs[:, 1])
    assert aucs[0, 0] == pytest.approx(roc_auc_score(bad, score))


def test_a_customer_with_several_decisions_hides_no_missing_one():
    """Repeated rows of one customer do not make up for an id that has none."""
    risk = pd.Series([0.1, 0.9, 0.5], index=["a", "a", "c"])
    outcome = pd.Series([0, 1, 1], index=["a", "b", "c"])
    with pytest.warns(UserWarning, match="1 of 3 ids of outcome have no risk"):
        assert validate_proxy(risk, outcome, 5).n_without_risk == 1


@pytest.mark.parametrize(
    ("risk", "outcome", "message"),
    [
        ([[0.1, 0.9], [0.2, 0.8]], [0, 1], r"one value per customer.*got shape \(2, 2\)"),
        ([0.1, np.nan, 0.3], [0, 1, 0], "risk has 1 missing or infinite value"),
        ([0.1, np.inf, 0.3], [0, 1, 0], "risk has 1 missing or infinite value"),
        ([0.1, 0.2, 0.3], [0, None, 0], "outcome has 1 missing or infinite value"),
        ([0.1, 0.2, 0.3], [0, 0, 0], "are all 0: both goods and bads"),
        ([0.1, 0.2, 0.3], [1, 1, 1], "are all 1: both goods and bads"),
        ([0.1, 0.2, 0.3], [0, 1, 2], r"outcome must be 0 or 1, 1 being bad; got also \[2"),
        ([0.1, 0.2, 0.3], ["good", "bad", "good"], "outcome must hold numbers"),
        ([0.1, 0.2, 0.3], [0, 1], "risk has 3 rows and outcome 2"),
        (
            pd.Series([0.1, 0.2], index=["a", "b"]),
            pd.Series([0, 1], index=["c", "d"]),
            "none of the 2 ids of outcome is among the 2 of risk",
        ),
        (
            pd.Series([0.1, 0.2], index=["a", "b"]),
            pd.Series([0, 1], index=["a", "a"]),
            r"outcome has 1 repeated id\(s\)",
        ),
    ],
)
def test_bad_input_is_refused(risk, outcome, message):
    """Each gets one clear error that counts."""
    with pytest.raises(ValueError, match=message):
        validate_proxy(risk, outcome)


def test_labels_of_others_are_refused():
    """Labels must be of the customers of the risk."""
    with pytest.raises(ValueError, match="labels must be of the customers of risk"):
        validate_proxy([0.1, 0.2], [0, 1], labels=[1])
