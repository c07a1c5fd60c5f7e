"""The two ways of counting levels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rfmrisk.aggregation.category import count_dense, count_sparse


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=40))
def test_dense_and_sparse_counts_agree(rows):
    """Whatever is counted, with levels and customers that never occur, both ways agree."""
    customers, codes = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    dense, sparse = count_dense(customers, codes, (5, 4)), count_sparse(customers, codes, (5, 4))
    for one, other in zip(dense, sparse, strict=True):
        np.testing.assert_array_equal(one, other)
