"""Values made missing: the others stay what they are, in slices and chunks too."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfmrisk.histories import to_histories
from rfmrisk.histories.missing import missing_unless, missing_where

TEXT = st.sampled_from([None, "", "a", "bb", "NA", "longer"])


@given(
    st.lists(st.tuples(TEXT, st.sampled_from([True, False, None])), max_size=30),
    st.integers(0, 5),
    st.integers(1, 5),
    st.sampled_from([pa.string(), pa.large_string()]),
)
def test_the_others_stay(rows, start, size, dtype):
    """A slice of a column, whole or in chunks, loses what the mask says and nothing else."""
    text = pa.array([value for value, _ in rows], dtype).slice(start)
    mask = pa.array([masked for _, masked in rows], pa.bool_()).slice(start)
    expected = [value if masked is False else None for value, masked in rows[start:]]
    chunks = [text.slice(first, size) for first in range(0, len(text), size)]
    for values in (text, pa.chunked_array(chunks, dtype)):
        kept = missing_where(mask, values)
        kept.validate(full=True)
        assert kept.to_pylist() == expected


def test_a_pattern():
    """What the pattern does not match is missing."""
    assert missing_unless(r"^\d", pa.array(["1a", "a1", None])).to_pylist() == ["1a", None, None]


@pytest.mark.parametrize("dtype", [pa.string(), pa.large_string()])
def test_ids_of_a_table_in_slices(dtype):
    """Ids in slices of one column, as the batches of a Parquet file are, stay what they are."""
    table = pa.table(
        {
            "who": pa.array(["ann", "NA", "bob", "ann", " ", "cy"], dtype),
            "when": ["2024-05-01", "2024-05-02"] * 3,
            "paid": [1.0, 2.0] * 3,
        }
    )
    sliced = pa.concat_tables([table.slice(first, 2) for first in (0, 2, 4)])
    roles = {"customer": "who", "time": "when", "amount": "paid"}
    with pytest.warns(UserWarning, match="2 of 6 rows cannot be used"):
        made = to_histories(sliced, **roles, on_bad="drop")
    assert made.index.tolist() == ["ann", "bob", "cy"]
