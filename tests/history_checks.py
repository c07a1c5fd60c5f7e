"""What every estimator that takes histories must hold to, beyond scikit-learn's own checks.

Each check takes an unfitted estimator, a transformer or a classifier, and raises AssertionError.
Features are compared to the last bit; probabilities to 12 digits, since the matrix product of a
linear model may round differently with the number of rows.
"""

import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from rfmrisk import ApplicationColumns, rewind, to_histories
from rfmrisk.datasets import make_transactions


@cache
def _log() -> pd.DataFrame:
    log = make_transactions(150, random_state=3)
    time = pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None)
    return log.assign(TransactionStartTime=time)


@cache
def _histories() -> pd.DataFrame:
    return to_histories(_log())


def _fit(estimator: Any, histories: pd.DataFrame) -> Any:
    if not _takes_target(estimator):
        return clone(estimator).fit(histories)
    counts = histories["history"].map(len)
    return clone(estimator).fit(histories, (counts < counts.median()).astype(int))


def _takes_target(estimator: Any) -> bool:
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    return get_tags(last).target_tags.required


def _output(estimator: Any, histories: pd.DataFrame) -> pd.DataFrame:
    if hasattr(estimator, "transform"):
        return pd.DataFrame(estimator.transform(histories))
    return pd.DataFrame(estimator.predict_proba(histories), index=histories.index)


def _assert_same(output: pd.DataFrame, expected: pd.DataFrame) -> None:
    exact = list(output.columns) != [0, 1]
    pd.testing.assert_frame_equal(output, expected, check_exact=exact, rtol=1e-12, atol=1e-12)


def check_order_of_histories(estimator: Any) -> None:
    """Check that shuffled histories give the shuffled output."""
    histories = _histories()
    shuffled = histories.sample(frac=1, random_state=0)
    fitted = _fit(estimator, histories)
    _assert_same(_output(fitted, shuffled), _output(fitted, histories).loc[shuffled.index])


def check_order_of_log(estimator: Any) -> None:
    """Check that a shuffled log gives the same output, fitted on either."""
    shuffled = to_histories(_log().sample(frac=1, random_state=0))
    fitted, other = _fit(estimator, _histories()), _fit(estimator, shuffled)
    _assert_same(_output(other, shuffled), _output(fitted, _histories()))


def check_names_of_customers(estimator: Any) -> None:
    """Check that renamed customers, whose order changes with it, keep their output."""
    log = _log()
    renamed = log.assign(CustomerId=log["CustomerId"].str[::-1])
    fitted = _fit(estimator, _histories())
    output = _output(fitted, to_histories(renamed)).rename(index=lambda name: name[::-1])
    _assert_same(output.loc[_histories().index], _output(fitted, _histories()))


def check_customers_are_independent(estimator: Any) -> None:
    """Check that a customer has the same output alone and among others."""
    histories = _histories()
    fitted = _fit(estimator, histories)
    together = _output(fitted, histories)
    for rows in ([0], [70, 3], [-1]):
        _assert_same(_output(fitted, histories.iloc[rows]), together.iloc[rows])


def check_future_does_not_change_the_past(estimator: Any) -> None:
    """Check that transactions at and after as_of change nothing, in fit or in the output."""
    log, as_of = _log(), pd.Timestamp("2019-01-01")
    cut = log[log["TransactionStartTime"] < as_of]
    at_once = cut.groupby("CustomerId").tail(1).assign(TransactionStartTime=as_of, Amount=1e9)
    then = to_histories(cut, as_of=as_of)
    later = to_histories(pd.concat([at_once, log]), as_of=as_of)
    assert len(log) > len(cut)
    _assert_same(_output(_fit(estimator, later), later), _output(_fit(estimator, then), then))


def check_empty_and_short_histories(estimator: Any) -> None:
    """Check that customers with one transaction, or none, have an output; so has a single row."""
    first = _histories()["as_of"].iloc[0] - pd.Timedelta("900D")
    decisions = pd.DataFrame({"CustomerId": ["nobody", "nobody either"], "as_of": first})
    empty = to_histories(_log(), as_of=decisions)
    one = to_histories(_log().groupby("CustomerId").head(1)).iloc[:3]
    fitted = _fit(estimator, _histories())
    for few in (empty, empty.iloc[:1], one, one.iloc[:1], pd.concat([empty, one])):
        output = _output(fitted, few)
        assert len(output) == len(few)
        if list(output.columns) == [0, 1]:
            assert output.to_numpy().min() >= 0
            np.testing.assert_allclose(output.sum(axis=1), 1)


def check_several_decisions_per_customer(estimator: Any) -> None:
    """Check that a customer asked for at several moments has at each what it would have alone."""
    histories = _histories()
    fitted = _fit(estimator, histories)
    moments = [histories["as_of"].iloc[0], histories["as_of"].iloc[0] - pd.Timedelta("30D")]
    known = rewind(histories, "30D").index
    decisions = pd.DataFrame({"CustomerId": np.repeat(known, 2), "as_of": moments * len(known)})
    output = _output(fitted, to_histories(_log(), as_of=decisions))
    _assert_same(output.iloc[::2], _output(fitted, histories.loc[known]))
    _assert_same(output.iloc[1::2], _output(fitted, rewind(histories, "30D")))


def check_further_columns_are_ignored(estimator: Any) -> None:
    """Check that columns that training did not have change nothing, nor does their order.

    Those of training change nothing either where no `ApplicationColumns` looks at them.
    """
    histories = _histories()
    fitted = _fit(estimator, histories)
    more = histories.assign(branch="north", age=40)[["age", "history", "branch", "as_of"]]
    _assert_same(_output(fitted, more), _output(fitted, histories))
    parts = [estimator, *estimator.get_params().values()]
    if not any(isinstance(part, ApplicationColumns) for part in parts):
        _assert_same(_output(_fit(estimator, more), more), _output(fitted, histories))


def check_histories_are_not_changed(estimator: Any) -> None:
    """Check that neither fit nor the output changes the histories."""
    histories = _histories().copy()
    _output(_fit(estimator, histories), histories)
    pd.testing.assert_frame_equal(histories, _histories())


def check_names_and_clone(estimator: Any) -> None:
    """Check that a clone fits the same, and that names are those of the output."""
    fitted = _fit(estimator, _histories())
    output = _output(fitted, _histories())
    again = _fit(clone(fitted), _histories())
    _assert_same(_output(again, _histories()), output)
    if hasattr(fitted, "transform"):
        assert fitted.get_feature_names_out().tolist() == output.columns.tolist()
        assert output.index.equals(_histories().index)
        framed = clone(estimator).set_output(transform="pandas").fit_transform(_histories())
        _assert_same(framed, output)


def check_round_trips(estimator: Any) -> None:
    """Check that a pickled and a skops copy give the same output to the last bit."""
    fitted = _fit(estimator, _histories())
    output = _output(fitted, _histories())
    saved = skops.io.dumps(fitted)
    unknown = skops.io.get_untrusted_types(data=saved)
    assert all(kind.startswith("rfmrisk.") for kind in unknown), unknown
    for copy in (pickle.loads(pickle.dumps(fitted)), skops.io.loads(saved, trusted=unknown)):  # noqa: S301 (our own bytes)
        pd.testing.assert_frame_equal(_output(copy, _histories()), output, check_exact=True)


HISTORY_CHECKS: list[Callable[[Any], None]] = [
    check_order_of_histories,
    check_order_of_log,
    check_names_of_customers,
    check_customers_are_independent,
    check_future_does_not_change_the_past,
    check_empty_and_short_histories,
    check_several_decisions_per_customer,
    check_further_columns_are_ignored,
    check_histories_are_not_changed,
    check_names_and_clone,
    check_round_trips,
]
