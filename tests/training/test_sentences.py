"""Each sentence of report and card that states a fact stands where it holds, and nowhere else."""

import html
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from rfmrisk import customer_features, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import rolling_origin
from rfmrisk.training import CATALOGUE, save_run, train
from rfmrisk.training.report.card import write_card
from rfmrisk.training.report.page import write_report

from .small import SMALL

TREE = {"tree": SMALL["decision_tree"]}
CARD = {"scorecard": replace(SMALL["scorecard"], grid={"scorecard__classifier__C": [1.0]})}
LOGISTIC = {
    "logistic": replace(CATALOGUE["logistic_regression"], grid={"classifier__C": [0.1]}),
}
ONE = {"outcome": "30D", "n_cutoffs": 1}


class Absent(ClassifierMixin, BaseEstimator):
    """Call those high-risk who buy less often than others; there are no clusters."""

    def fit(self, X, y=None):
        """Learn how often is seldom."""
        self.classes_ = np.array([0, 1])
        self.usual_ = float(np.quantile(X["frequency"], 0.3))
        return self

    def predict(self, X):
        """Tell who buys seldom."""
        return (X["frequency"].to_numpy() <= self.usual_).astype(int)


def decided(log, defaults):
    """Return decisions of three dates with attributes, and outcomes of all but a few."""
    dates = pd.to_datetime(["2019-02-20", "2019-03-20", "2019-04-20"])
    ids = defaults.index.repeat(3)
    asked = np.arange(len(ids)) % 7 * 100.0
    loans = pd.DataFrame({"customer": ids, "as_of": np.tile(dates, len(defaults)), "asked": asked})
    y = np.maximum(defaults.to_numpy(float).repeat(3), asked >= 500)
    y[:5] = np.nan
    return to_histories(log, as_of=loans), y


def training(kind):
    """Train a small model of a kind."""
    log, defaults = make_transactions(
        n_customers=400 if kind in DATED else 300,
        random_state=0,
        risk_effect=3,
        return_defaults=True,
    )
    histories = to_histories(log)
    y = defaults.loc[histories.index].to_numpy()
    if kind == "stacked":
        return train(histories, models=CARD, cv=2, class_weight="balanced")
    if kind == "one window":
        return train(histories, models=LOGISTIC | CARD, cv=2, labeler=Absent(), **ONE)
    if kind == "no window":
        lacking = log.assign(Amount=log["Amount"].where(log.index != 7))
        with pytest.warns(UserWarning, match="1 of .* rows cannot be used"):
            histories = to_histories(lacking, on_bad="drop")
        return train(histories, models=TREE, cv=2, outcome=None, choose="best")
    if kind == "given":
        age = histories.assign(customer_age=30 + np.arange(len(y)) % 40)
        options = {"missed_bad_cost": 5, "calibrate": "sigmoid", "proxy": False}
        features = customer_features().set_params(category="drop", temporal="drop")
        return train(age, y, models=CARD, cv=2, features=features, **options)
    if kind == "dated":
        table, outcomes = decided(log, defaults)
        splits = rolling_origin(table, "20D", 2, y=outcomes)
        return train(table, outcomes, models=TREE, cv=splits, proxy=False)
    if kind == "updated":
        table, outcomes = decided(log, defaults)
        return train(table, outcomes, models=TREE, cv=2, proxy=True, **ONE)
    table = pd.DataFrame({"asked": np.arange(300) % 40 * 10.0, "term": np.arange(300) % 5})
    leak = table.assign(paid_late=y[:300])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the leak, which is to be written
        return train(leak, y[:300], models=CARD, cv=2)


DATED = {"dated", "updated"}
PROXIES = {"stacked", "one window", "no window"}
GIVEN = DATED | {"given", "table"}
EVERY = PROXIES | GIVEN
LOGS = EVERY - {"table"}

# Each sentence, and the kinds of training of which it is true.
SENTENCES = {
    "applicants of a table without a log": {"table"},
    "One row is one application": {"table"},
    "One row is one customer as known": LOGS,
    "The target was given with the histories": GIVEN - {"table"},
    "The target was given with the table": {"table"},
    "A proxy is not a default": PROXIES,
    "High-risk means disengaged": PROXIES,
    "not a probability of default": PROXIES,
    "depends on how the outcome was defined": GIVEN,
    "no outcome was given to the training": PROXIES,
    "look disengaged here": PROXIES,
    "fell into the least engaged cluster": {"stacked", "no window"},
    "were labelled so": {"one window"},
    "The clusters below are of all customers": {"stacked"},
    "in the very transactions that the features see": {"no window"},
    "Not a model of the future": {"no window"},
    "say nothing about customers to come": {"no window"},
    "Each customer is in as many samples as": {"stacked"},
    "One sample is a customer and an outcome window": {"stacked"},
    "Recency alone is the one column": LOGS,
    "Recency alone reaches": LOGS,
    "The plain rank of recency": LOGS,
    "Gain over recency alone": LOGS,
    "By the length of the history": LOGS,
    "Drift from earlier to the last decisions": DATED | {"stacked"},
    "Drift between training and held-out customers": EVERY - DATED - {"stacked"},
    "The customers were divided at random, so": EVERY - DATED - {"stacked"},
    "In time": DATED | {"stacked"},
    "It has learned from the last decisions": DATED | {"stacked"},
    "back-test in time": LOGS,
    "Nothing here is out of time": {"table"},
    "were known at the same time": {"one window", "no window", "given"},
    "decisions have no outcome yet": DATED,
    "2-fold cross-validation": EVERY - {"dated"},
    "cross-validation (2 splits by time": {"dated"},
    "the simplest within one standard error": EVERY - {"no window"},
    "goods and bads weighing the same": {"stacked"},
    "Classes were weighed": {"stacked"},
    "Probabilities are calibrated (sigmoid)": {"given"},
    "The threshold is that of the least cost": {"given"},
    "The threshold is where KS is reached": EVERY - {"given"},
    "Profits are in units": {"given"},
    "The model is a proxy, which needs no outcomes, updated": {"updated"},
    "features speak of attributes that the law may protect": {"given"},
    "no feature speaks of": EVERY - {"given"},
    "shopping hours": {"stacked", "one window", "no window", "dated", "updated"},
    "and what is known of the application": {"given", "dated", "updated"},
    "holds goods alone or bads alone: this is a leak": {"table"},
    "Left out of the log: 1 of": {"no window"},
    "LEAK": {"no window", "table"},
    "points stand for odds of": {"stacked", "given", "one window", "table"},
    "The scorecard is not the model that was chosen": {"one window"},
    "Spending is looked at over": LOGS,
}


# Two of them, which share few sentences, are enough for a quick look.
KINDS = [
    pytest.param(kind, marks=[] if kind in {"stacked", "table"} else pytest.mark.slow)
    for kind in sorted(EVERY)
]


@pytest.fixture(scope="module", params=KINDS)
def told(request, tmp_path_factory):
    """Give a kind of training, with the words of its report and its card."""
    folder = save_run(training(request.param), tmp_path_factory.mktemp("sentences") / "run")
    page = write_report(folder).read_text(encoding="utf-8")
    page = html.unescape(re.sub(r"<style.*?</style>|<[^>]+>", "", page, flags=re.DOTALL))
    card = write_card(folder).read_text(encoding="utf-8")
    return request.param, " ".join(f"{page} {card}".split())


def test_a_sentence_stands_where_it_holds(told):
    """What is written of a training is true of it, and what is true of it is written."""
    kind, words = told
    wrong = {
        sentence: "is not there" if kind in kinds else "is there"
        for sentence, kinds in SENTENCES.items()
        if (sentence in words) != (kind in kinds)
    }
    assert not wrong, "\n".join([kind, *(f"{s} {w}" for s, w in wrong.items())])


def test_every_sentence_is_false_of_some_training():
    """No sentence of the table is one that always holds."""
    for sentence, kinds in SENTENCES.items():
        assert kinds, sentence
        assert kinds < EVERY, sentence
