"""Reasons of a classifier: its contributions add up to its score, feature by feature."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from rfmrisk import WOEEncoder
from rfmrisk.scoring.contributions import Contributions, encode
from rfmrisk.scoring.model import typical_values

PDO = 20


@pytest.fixture(scope="module")
def table():
    """Give a table whose column names hold one another, with levels and missing values."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "a__spent": rng.normal(size=400),
            "a__spent_lately": rng.normal(size=400),
            "b__kind": rng.choice(["tv", "tv_max", "air"], size=400),
        }
    )
    table.loc[::7, "a__spent"] = np.nan
    return table


@pytest.fixture(scope="module")
def y(table):
    odds = table["a__spent"].fillna(1) - table["a__spent_lately"] + (table["b__kind"] == "air")
    return (odds + np.random.default_rng(1).logistic(size=400) > 0).astype(int)


def one_hot(sparse_output):
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(sparse_output=sparse_output),
            make_column_selector(dtype_exclude="number"),
        ),
        sparse_threshold=float(sparse_output),
    )


def contributions_of(steps, table):
    return Contributions(steps, list(table), typical=typical_values(table), pdo=PDO)


@pytest.mark.parametrize("encoding", [WOEEncoder(), one_hot(False), one_hot(True)])
def test_a_linear_model_is_explained_against_the_typical_customer(table, y, encoding):
    """What all features cost together is the score of the typical customer less one's own."""
    steps = make_pipeline(encoding, LogisticRegression()).fit(table, y)
    lost = contributions_of(steps, table).lost(encode(steps, table))
    typical = pd.DataFrame([typical_values(table)])
    log_odds = logit(steps.predict_proba(table)[:, 1]) - logit(steps.predict_proba(typical)[:, 1])
    assert lost.shape == table.shape
    np.testing.assert_allclose(lost.sum(axis=1), log_odds * PDO / np.log(2), atol=1e-8)
    # A feature that has its typical value costs nothing.
    usual = (table["b__kind"] == typical["b__kind"].iloc[0]).to_numpy()
    np.testing.assert_allclose(lost[usual, 2], 0, atol=1e-12)
    assert np.abs(lost[~usual, 2]).min() > 0


def test_what_one_feature_costs_is_what_its_typical_value_would_change(table, y):
    """The features of a linear model are told apart, those whose names begin alike too."""
    steps = make_pipeline(one_hot(False), LogisticRegression()).fit(table, y)
    lost = contributions_of(steps, table).lost(encode(steps, table))
    before = logit(steps.predict_proba(table)[:, 1])
    for place, (name, value) in enumerate(typical_values(table).items()):
        after = logit(steps.predict_proba(table.assign(**{name: value}))[:, 1])
        np.testing.assert_allclose(lost[:, place], (before - after) * PDO / np.log(2), atol=1e-8)


@pytest.mark.parametrize("module", ["xgboost", "lightgbm"])
def test_trees_are_explained_against_the_average(table, y, module):
    """What all features cost together is the score but for a constant, levels included."""
    boosting = pytest.importorskip(module)
    options = {"verbose": -1} if module == "lightgbm" else {}
    kind = {"xgboost": "XGBClassifier", "lightgbm": "LGBMClassifier"}[module]
    classifier = getattr(boosting, kind)(n_estimators=20, max_depth=2, **options)
    plain = one_hot(False).set_output(transform="default")
    steps = make_pipeline(plain, FunctionTransformer(feature_names_out="one-to-one"), classifier)
    steps.fit(table, y)
    encoded = encode(steps, table)
    lost = contributions_of(steps, table).lost(encoded)
    assert lost.shape == table.shape
    log_odds = logit(classifier.predict_proba(encoded)[:, 1].astype(float))
    base = log_odds - lost.sum(axis=1) * np.log(2) / PDO
    np.testing.assert_allclose(base, base[0], atol=1e-4)


def test_a_customer_costs_the_same_alone(table, y):
    """Points do not depend on the others of a batch, to the last bit."""
    steps = make_pipeline(one_hot(False), LogisticRegression()).fit(table, y)
    contributions = contributions_of(steps, table)
    encoded = encode(steps, table)
    together = contributions.lost(encoded)
    for row in range(20):
        np.testing.assert_array_equal(contributions.lost(encoded[[row]])[0], together[row])


def test_models_without_contributions_are_known(table, y):
    """Sums over features that are not the table's, and models that are no sums, have none."""
    numbers = table[["a__spent_lately"]]
    names = list(numbers)
    linear = make_pipeline(LogisticRegression()).fit(numbers, y)
    assert Contributions.known(linear, names)
    assert encode(linear, numbers) is numbers
    assert not Contributions.known(make_pipeline(DecisionTreeClassifier()).fit(numbers, y), names)
    rotated = make_pipeline(PCA(), LogisticRegression()).fit(numbers, y)
    assert not Contributions.known(rotated, names)
    nameless = make_pipeline(FunctionTransformer(), LogisticRegression()).fit(numbers, y)
    assert not Contributions.known(nameless, names)
    three = make_pipeline(LogisticRegression()).fit(numbers, np.arange(400) % 3)
    assert not Contributions.known(three, names)
