"""The sample bank looks like a bank, repeats itself on demand, and hides a default."""

import pandas as pd

from rfmrisk.datasets import make_transactions


def test_the_same_seed_gives_the_same_log():
    """A seed fixes the log and the defaults to the last bit; another seed gives others."""
    log, defaults = make_transactions(100, random_state=1, return_defaults=True)
    again, defaults_again = make_transactions(100, random_state=1, return_defaults=True)
    pd.testing.assert_frame_equal(log, again)
    pd.testing.assert_series_equal(defaults, defaults_again)
    assert not log.equals(make_transactions(100, random_state=2))
