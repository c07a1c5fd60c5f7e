"""Make values of an Arrow column missing."""

from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

Column = TypeVar("Column", pa.Array, pa.ChunkedArray)


def missing_where(mask: pa.Array | pa.ChunkedArray, values: Column) -> Column:
    """Return the values, those missing of which the mask is true or missing.

    Before version 24 Arrow's ``if_else`` with a missing scalar mixes up text that is a slice of
    another column (apache/arrow issue 49410), as the batches of a Parquet file are.

    Examples
    --------
    >>> column = pa.array(["ann", "", "bob"])
    >>> missing_where(pc.equal(column, ""), column).to_pylist()
    ['ann', None, 'bob']
    """
    if isinstance(mask, pa.ChunkedArray):
        mask = mask.combine_chunks()
    return pc.replace_with_mask(values, mask, pa.scalar(None, values.type))


def missing_unless(pattern: str, text: Column) -> Column:
    """Return text, those missing that the regular expression does not match."""
    return missing_where(pc.invert(pc.match_substring_regex(text, pattern)), text)
