"""Ids become the ranks that sorting them gives, whichever way is taken."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rfmrisk.histories import ranks
from rfmrisk.histories.ranks import encode_ids

_digits = st.text("0123456789", max_size=8)
_short = st.text("ab\0é", max_size=4)
_words = st.sampled_from(["", "CustomerId_", "nö-"])


def _assert_ranks(values, kind, before=0):
    """Check the ranks of values that stand after some others in an array, whose rest they are."""
    padded = pa.array(values[:1] * before + values, kind).slice(before)
    codes, n = encode_ids(padded)
    distinct = sorted(set(values))
    assert n == len(distinct)
    np.testing.assert_array_equal(codes, [distinct.index(value) for value in values])


@given(
    _words,
    st.lists(_digits, min_size=1, max_size=30)
    | st.lists(_short, min_size=1, max_size=30)
    | st.lists(st.text(min_size=0), min_size=1, max_size=10)
    | st.lists(st.from_regex(r"[0-9a-f]{8}", fullmatch=True), min_size=1, max_size=30),
    st.integers(0, 2),
)
@example("", ["", "", "\0"], 0)
@example("CustomerId_", ["1", "1\0", "\x001"], 0)
def test_text(prefix, rests, before):
    """Text of digits, of other letters, short or long, has the ranks of sorted bytes."""
    # Hypothesis draws no lone surrogates, so that the order of letters is that of bytes.
    _assert_ranks([prefix + rest for rest in rests], pa.large_string(), before)


@pytest.mark.parametrize("longest", [1, 3, 5])
@pytest.mark.parametrize("letter", ["", "x"])
def test_more_text_than_a_block(monkeypatch, longest, letter):
    """Blocks of rows are put together, with a table of ranks and with a hash."""
    monkeypatch.setattr(ranks, "_BLOCK", 64)
    rng = np.random.default_rng(longest)
    ids = [f"CustomerId_{rng.integers(10 ** rng.integers(longest + 1))}" for _ in range(999)]
    _assert_ranks([*ids, f"CustomerId_{letter}7"], pa.large_string())


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9), min_size=1))
def test_signed_integers(values):
    """Integers near and far from one another have the ranks of sorting."""
    _assert_ranks(values, pa.int64())


@given(st.lists(st.integers(2**64 - 20, 2**64 - 1) | st.integers(0, 20), min_size=1))
def test_unsigned_integers(values):
    """Integers beyond 63 bits do, too."""
    _assert_ranks(values, pa.uint64())
