"""The proxy label holds whatever the seed, the order, the currency and the oddities of a log."""

import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils.estimator_checks import check_estimator

from rfmrisk import ProxyLabeler, RFMAggregator, SpendAggregator, to_histories
from rfmrisk.datasets import make_transactions
from tests.conftest import examples

SCALINGS = ["risk", "rank", "log", "standard", "robust", None]
VARIANTS = [{"scaling": scaling} for scaling in SCALINGS] + [{"strategy": "share"}]


@pytest.fixture(scope="module")
def rfm():
    """RFM of the sample bank, net amounts: heavy tails and refunds."""
    return RFMAggregator(monetary="net").fit_transform(
        to_histories(make_transactions(n_customers=500, random_state=0))
    )


def fitted(X, **parameters):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the label is degenerate")
        return ProxyLabeler(**parameters).fit(X)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_order_of_the_rows_changes_nothing(rfm, variant):
    """Shuffled customers get bit-for-bit the same centres, labels and risk."""
    shuffled = rfm.sample(frac=1, random_state=1)
    one, other = fitted(rfm, **variant), fitted(shuffled, **variant)
    if variant.get("strategy") != "share":
        np.testing.assert_array_equal(one.cluster_centers_, other.cluster_centers_)
    np.testing.assert_array_equal(one.predict_cluster(rfm), other.predict_cluster(rfm))
    np.testing.assert_array_equal(one.decision_function(rfm), other.decision_function(rfm))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_seed_changes_nothing(rfm, variant):
    """Any random_state gives bit-for-bit the same clusters."""
    labels = [
        fitted(rfm, random_state=seed, **variant).labels_
        for seed in (0, 1, 2, None, np.random.RandomState(3))
    ]
    assert all(np.array_equal(labels[0], other) for other in labels)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != {"scaling": None}], ids=str)
@pytest.mark.parametrize("factor", [1000, 0.01, 2.0**20])
def test_the_currency_changes_no_label(rfm, variant, factor):
    """Amounts in another unit give the same labels; without scaling they cannot."""
    other = rfm.assign(monetary=rfm["monetary"] * factor)
    np.testing.assert_array_equal(fitted(rfm, **variant).labels_, fitted(other, **variant).labels_)


@pytest.mark.parametrize("scaling", ["risk", "rank"])
def test_the_currency_changes_no_bit_of_a_rank(rfm, scaling):
    """Risk and centres on ranks are the same to the last bit, whatever the unit of money."""
    other = rfm.assign(monetary=rfm["monetary"] * 1000)
    one, two = fitted(rfm, scaling=scaling), fitted(other, scaling=scaling)
    np.testing.assert_array_equal(one.cluster_centers_, two.cluster_centers_)
    np.testing.assert_array_equal(one.decision_function(rfm), two.decision_function(other))


def test_sums_that_differ_only_in_binary_tie():
    """10.1 + 20.2 and 30.3 are the same money, though not the same float."""
    rfm = pd.DataFrame(
        {
            "recency": [1.0, 1.0, 2.0, 3.0],
            "frequency": [1, 1, 1, 1],
            "monetary": [10.1 + 20.2, 30.3, 20.0, 10.0],
        }
    )
    risk = ProxyLabeler().fit(rfm).decision_function(rfm)
    assert risk[0] == risk[1]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_new_customers_are_labelled_without_refitting(rfm, variant):
    """A customer's label does not depend on the company in which it is asked for."""
    labeler = fitted(rfm.iloc[:400], **variant)
    together = labeler.predict(rfm)
    one_by_one = [labeler.predict(rfm.iloc[[row]])[0] for row in range(380, 420)]
    np.testing.assert_array_equal(together[380:420], one_by_one)
    np.testing.assert_array_equal(together[:400], labeler.predict(rfm.iloc[:400]))


@settings(max_examples=examples(60), deadline=None)
@given(
    values=st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 40_000).map(lambda days: days / 100)),
            st.integers(0, 5),
            st.integers(-(10**14), 10**14).map(lambda cents: cents / 100),
        ),
        min_size=8,
        max_size=40,
    ),
    variant=st.sampled_from(VARIANTS),
    order=st.randoms(use_true_random=False),
)
def test_any_table_is_labelled_alike_in_any_order_or_refused(values, variant, order):
    """Whatever the ties and tails, one clear error or labels that follow the customers."""
    table = pd.DataFrame(values, columns=["recency", "frequency", "monetary"], dtype=float)
    rows = list(range(len(table)))
    order.shuffle(rows)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the label is degenerate")
        try:
            labeler = ProxyLabeler(**variant).fit(table)
        except ValueError as error:
            assert "clusters need as many different customers" in str(error)  # noqa: PT017
            return
        shuffled = ProxyLabeler(**variant).fit(table.iloc[rows])
    np.testing.assert_array_equal(shuffled.labels_, labeler.labels_[rows])
    np.testing.assert_array_equal(labeler.predict_cluster(table), labeler.labels_)
    assert ((labeler.labels_ == -1) == table["recency"].isna()).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_riskiest_cluster_is_the_last(rfm, scaling):
    """Clusters are numbered from safest to riskiest by their average rank."""
    labeler = fitted(rfm, scaling=scaling)
    risk = labeler.decision_function(rfm)
    means = [risk[labeler.labels_ == cluster].mean() for cluster in range(3)]
    assert means == sorted(means)
    np.testing.assert_array_equal(labeler.predict(rfm), labeler.labels_ == 2)


@pytest.mark.parametrize("column", ["recency", "frequency", "monetary"])
def test_risk_is_monotone_in_each_direction(rfm, column):
    """Less engagement in one column never lowers the risk; the label follows the risk."""
    labeler = ProxyLabeler().fit(rfm)
    sign = 1 if column == "recency" else -1
    worse = rfm.assign(**{column: rfm[column] + sign * rfm[column].abs().quantile(0.3)})
    assert (labeler.decision_function(worse) >= labeler.decision_function(rfm)).all()
    assert (labeler.predict(worse) >= labeler.predict(rfm)).all()


def test_risk_lies_between_zero_and_one(rfm):
    """Also for values far outside those of fit."""
    labeler = ProxyLabeler().fit(rfm)
    far = pd.DataFrame({"recency": [0.0, 1e9], "frequency": [1e9, 0.0], "monetary": [1e15, -1e15]})
    np.testing.assert_array_equal(labeler.decision_function(far), [0.0, 1.0])
    np.testing.assert_array_equal(labeler.predict(far), [0, 1])


@pytest.mark.parametrize("scaling", ["risk", "rank"])
def test_a_few_enormous_spenders_do_not_move_the_others(rfm, scaling):
    """Multiplying the amounts of the five biggest spenders by a billion changes no label."""
    top = rfm["monetary"].nlargest(5).index
    other = rfm.copy()
    other.loc[top, "monetary"] *= 1e9
    np.testing.assert_array_equal(
        fitted(rfm, scaling=scaling).labels_, fitted(other, scaling=scaling).labels_
    )


def test_a_tiny_cluster_is_said(rfm):
    """The textbook scaling gives a few big spenders a cluster of their own, with a warning."""
    other = rfm.copy()
    other.loc[rfm["monetary"].nlargest(3).index, "monetary"] = 1e12
    with pytest.warns(UserWarning, match=r"cluster \d holds 0\.\d+% .*scaling='risk'"):
        ProxyLabeler(scaling="standard", directions={"monetary": -1}).fit(other)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_many_ties_share_a_label(scaling):
    """Half of the customers with one equal purchase have one cluster, and nothing breaks."""
    rng = np.random.default_rng(0)
    n = 200
    rfm = pd.DataFrame(
        {
            "recency": np.where(np.arange(n) < 100, 300.0, rng.uniform(0, 300, n)),
            "frequency": np.where(np.arange(n) < 100, 1, rng.integers(2, 30, n)),
            "monetary": np.where(np.arange(n) < 100, 5.0, rng.lognormal(4, 1, n)),
        }
    )
    labeler = fitted(rfm, scaling=scaling)
    assert set(labeler.labels_[:100]) == {2}
    assert len(set(labeler.labels_)) == 3


def test_no_history_is_a_state_of_its_own(rfm):
    """Without any history: cluster -1, risk 1, labelled, and no part in the fit."""
    newcomers = pd.DataFrame(
        {"recency": np.nan, "frequency": 0, "monetary": 0.0}, index=["new1", "new2"]
    )
    both = pd.concat([rfm, newcomers])
    with_, without = ProxyLabeler().fit(both), ProxyLabeler().fit(rfm)
    np.testing.assert_array_equal(with_.cluster_centers_, without.cluster_centers_)
    np.testing.assert_array_equal(with_.labels_[-2:], [-1, -1])
    np.testing.assert_array_equal(with_.predict(newcomers), [1, 1])
    np.testing.assert_array_equal(with_.decision_function(newcomers), [1.0, 1.0])
    profile = with_.cluster_profile()
    assert list(profile.index) == ["0", "1", "2", "no history"]
    assert profile["size"].sum() == len(both)
    assert list(without.cluster_profile().index) == ["0", "1", "2"]


def test_the_profile_is_in_original_units(rfm):
    """Medians and shares of the profile are those of the customers of each cluster."""
    labeler = ProxyLabeler().fit(rfm)
    expected = rfm.groupby(labeler.labels_)["monetary"].median().to_numpy()
    np.testing.assert_allclose(labeler.cluster_profile()["monetary_median"], expected)
    assert labeler.cluster_profile()["share"].sum() == pytest.approx(1)
    assert labeler.flagged_share_ == labeler.cluster_profile()["share"].iloc[-1]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_a_chosen_share_is_flagged_exactly(rfm, share):
    """The share is exact but for a tie at the border, and the flagged are the riskiest."""
    labeler = ProxyLabeler(strategy="share", share=share).fit(rfm)
    assert labeler.flagged_share_ == pytest.approx(share, abs=0.005)
    risk, flag = labeler.decision_function(rfm), labeler.predict(rfm)
    assert risk[flag == 1].min() > risk[flag == 0].max()
    assert list(labeler.cluster_profile().index) == ["0", "1"]


def test_a_share_that_ties_forbid_is_said():
    """Tied customers stay together: the nearest possible share, and a warning."""
    tied = pd.DataFrame({"recency": [1.0] * 60 + [2.0] * 40, "frequency": 1, "monetary": 1.0})
    with pytest.warns(UserWarning, match=r"40\.00% of the customers are flagged where 30\.00%"):
        labeler = ProxyLabeler(strategy="share", share=0.3).fit(tied)
    np.testing.assert_array_equal(labeler.predict(tied), [0] * 60 + [1] * 40)


def test_customers_without_history_count_in_the_share(rfm):
    """They are flagged first; the rest of the share goes to the riskiest of the others."""
    newcomers = pd.DataFrame({"recency": np.nan, "frequency": 0, "monetary": 0.0}, index=range(50))
    labeler = ProxyLabeler(strategy="share", share=0.2).fit(pd.concat([rfm, newcomers]))
    assert labeler.flagged_share_ == pytest.approx(0.2)
    assert labeler.predict(newcomers).all()


def test_a_balance_joins_the_ranking_and_the_clusters():
    """Any aggregated column with its direction is a further term of the risk."""
    log = make_transactions(n_customers=300, random_state=0)
    log["Balance"] = np.random.default_rng(0).normal(1000, 300, len(log))
    table = (
        make_union(
            RFMAggregator(), SpendAggregator(columns=("Balance",), windows=(None,), stats=("min",))
        )
        .set_output(transform="pandas")
        .fit_transform(to_histories(log))
    )
    balance = table.columns[-1]
    directions = dict.fromkeys(table.columns, -1) | {table.columns[0]: 1}
    labeler = ProxyLabeler(directions=directions).fit(table)
    poorer = table.assign(**{balance: table[balance] - 500})
    assert (labeler.decision_function(poorer) > labeler.decision_function(table)).all()
    assert f"{balance}_median" in labeler.cluster_profile()


def test_the_contract_is_positional(rfm):
    """The four parameters of the contract keep their order."""
    labeler = ProxyLabeler(4, "rank", {"recency": 1, "monetary": -1}, 0).fit(rfm)
    assert labeler.columns_ == ["recency", "monetary"]
    assert labeler.cluster_centers_.shape == (4, 2)


def test_arrays_and_prefixed_names_mean_the_same(rfm):
    """R, F, M are found by position, by name, and by the name after a prefix."""
    expected = ProxyLabeler().fit_predict(rfm)
    np.testing.assert_array_equal(ProxyLabeler().fit_predict(rfm.to_numpy()), expected)
    np.testing.assert_array_equal(ProxyLabeler().fit_predict(rfm.add_prefix("rfm__")), expected)
    np.testing.assert_array_equal(ProxyLabeler().fit_predict(rfm.iloc[:, ::-1]), expected)


def test_transform_adds_cluster_and_label(rfm):
    """A frame keeps its index and columns; an array and set_output work alike."""
    labeler = ProxyLabeler().fit(rfm)
    table = labeler.transform(rfm)
    assert table.index.equals(rfm.index)
    assert list(table.columns) == list(labeler.get_feature_names_out())
    plain = ProxyLabeler().fit(rfm.to_numpy())
    np.testing.assert_array_equal(plain.transform(rfm.to_numpy()), table.to_numpy())
    framed = clone(plain).set_output(transform="pandas").fit_transform(rfm.to_numpy())
    assert list(framed.columns) == ["x0", "x1", "x2", "cluster", "is_high_risk"]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_skops_round_trip_gives_the_same_bits(rfm, variant):
    """Only the labeler itself has to be trusted, and nothing changes."""
    labeler = fitted(rfm, **variant)
    dumped = skops.io.dumps(labeler)
    name = "rfmrisk.proxy.labeler.ProxyLabeler"
    assert set(skops.io.get_untrusted_types(data=dumped)) == {name}
    loaded = skops.io.loads(dumped, trusted=[name])
    np.testing.assert_array_equal(loaded.predict(rfm), labeler.predict(rfm))
    np.testing.assert_array_equal(loaded.decision_function(rfm), labeler.decision_function(rfm))
    pd.testing.assert_frame_equal(loaded.cluster_profile(), labeler.cluster_profile())


def test_a_fit_leaves_no_warning_on_the_sample_bank(rfm):
    """A sound label is silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ProxyLabeler().fit(rfm)


def test_too_many_flagged_is_said():
    """Over 60 % flagged is called degenerate, with what to do."""
    rng = np.random.default_rng(0)
    rfm = pd.DataFrame(
        {
            "recency": np.where(np.arange(300) < 210, 100.0, rng.uniform(0, 50, 300)),
            "frequency": np.where(np.arange(300) < 210, 1, rng.integers(5, 90, 300)),
            "monetary": np.where(np.arange(300) < 210, 1.0, rng.uniform(100, 900, 300)),
        }
    )
    with pytest.warns(UserWarning, match=r"degenerate: 70\.00% .*suggest_outcome"):
        ProxyLabeler().fit(rfm)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.iloc[:2], "3 clusters need as many different customers"),
        (lambda X: X.iloc[:1], "minimum of 2 is required"),
        (lambda X: X.iloc[:0], "0 sample"),
        (lambda X: X.assign(recency=1.0, frequency=1, monetary=1.0), "1 different value"),
        (lambda X: X.assign(recency=np.nan), "0 different value"),
        (lambda X: X.assign(monetary=X["monetary"].where(X["monetary"] > 9000)), "'monetary': "),
        (lambda X: X.assign(monetary=np.inf), "infinity"),
        (lambda X: X.assign(age=30), r"\['age'\] have no direction"),
        (lambda X: X.assign(cluster=0), r"already has the column\(s\) \['cluster'\]"),
        (lambda X: X.assign(monetary="much"), "could not convert string"),
        (lambda X: X.assign(recency=np.nan).to_numpy(), "NaN"),
    ],
)
def test_bad_tables_are_refused(rfm, change, message):
    """Each bad table gets one clear error."""
    with pytest.raises(ValueError, match=message):
        ProxyLabeler().fit(change(rfm))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_clusters": 0}, r"'n_clusters' .* int in the range \[1, inf\). Got 0 "),
        ({"n_clusters": 2.5}, r"'n_clusters' .* int in .* Got 2\.5 "),
        ({"n_clusters": True}, r"'n_clusters' .* int in .* Got True "),
        ({"scaling": "minmax"}, r"'scaling' .*among {.*'standard'.*} or None. Got 'minmax' "),
        ({"strategy": "quantile"}, r"'strategy' .*a str among {.*'clusters'.*}"),
        ({"share": 1.0}, r"'share' .* \(0\.0, 1\.0\). Got 1\.0 "),
        ({"share": 20}, r"'share' .* \(0\.0, 1\.0\). Got 20 "),
        ({"directions": {}}, "directions must map"),
        ({"directions": {"recency": 2}}, "directions must map"),
        ({"directions": ["recency"]}, "directions must map"),
        ({"directions": {"balance": -1}}, r"name the column\(s\) \['balance'\]; the columns are"),
    ],
)
def test_bad_parameters_are_refused(rfm, parameters, message):
    """Each bad parameter gets one clear error that says what is allowed."""
    with pytest.raises(ValueError, match=message):
        ProxyLabeler(**parameters).fit(rfm)


def test_columns_without_known_names_are_taken_by_place(rfm):
    """It says which column it takes as the recency."""
    with pytest.warns(UserWarning, match="'a' is taken as the recency"):
        ProxyLabeler().fit(rfm.set_axis(["a", "b", "c"], axis=1))


@pytest.mark.parametrize("variant", [{}, {"scaling": "log"}, {"strategy": "share"}], ids=str)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_finds_nothing_to_complain_about(variant):
    """All of check_estimator passes."""
    check_estimator(ProxyLabeler(**variant))


def test_it_ends_a_pipeline_from_histories():
    """A pipeline from histories to labels fits and predicts."""
    histories = to_histories(make_transactions(n_customers=300, random_state=0))
    labels = make_pipeline(RFMAggregator(window="90D"), ProxyLabeler()).fit(histories)
    assert set(labels.predict(histories)) == {0, 1}
    assert labels.decision_function(histories.iloc[:3]).shape == (3,)
