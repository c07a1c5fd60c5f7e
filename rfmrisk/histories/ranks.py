"""Numbers for values: ids, levels and tie-breakers by their rank among the distinct ones.

Hashing the ids is what costs most in a log of millions of rows. Short ids need no hash of their
text: what follows the part that all have in common is read as a number, straight from Arrow's
buffers, and where these numbers are dense enough a table holds the rank of each.
"""

from collections.abc import Iterator
from itertools import takewhile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from rfmrisk.histories.segments import Ints, take

Words = NDArray[np.uint64]

_DENSE = 4  # a table may have this many places for each row
_BLOCK = 2**15  # rows at once, so that all that is made of them stays in the cache


def encode(column: pa.Array) -> tuple[Ints, pa.Array]:
    """Return the rank of each value among the sorted distinct values, and these values.

    Missing values come last. Raises ArrowNotImplementedError where values have no order.
    """
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    encoded = column.dictionary_encode(null_encoding="encode")
    by_value = pc.array_sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(by_value), dtype=np.int64)
    rank[by_value] = np.arange(len(by_value))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(pa.array(by_value))


def encode_ids(ids: pa.Array) -> tuple[NDArray[np.integer], int]:
    """Return the rank of each id among the sorted distinct ids, and how many there are.

    Parameters
    ----------
    ids : pyarrow.Array
        Of int64, uint64 or large_string, without missing values.
    """
    numbers = ids.to_numpy() if types.is_integer(ids.type) else _numbers_of_text(ids)
    if numbers is None:
        codes, distinct = encode(ids)
        return codes, len(distinct)
    lowest = numbers.min()
    size = int(numbers.max()) - int(lowest) + 1
    if size > _DENSE * len(numbers):
        codes, distinct = pd.factorize(numbers, sort=True)
        return codes, len(distinct)
    places = numbers - lowest if lowest else numbers
    seen = np.zeros(size, dtype=bool)
    seen[places] = True
    rank: NDArray[np.integer] = np.cumsum(seen, dtype=np.int32 if size < 2**31 else np.int64)
    return take(rank - 1, places), int(rank[-1])


def _numbers_of_text(texts: pa.Array) -> NDArray[np.integer] | None:
    """Return numbers in the order of the texts; None where they differ in more than 8 bytes."""
    prefix = _common_prefix(texts)
    lengths = pc.min_max(pc.binary_length(texts)).as_py()
    shortest, longest = lengths["min"] - prefix, lengths["max"] - prefix
    if longest > 8 or shortest < longest == 8:
        return None
    if 11**longest <= _DENSE * len(texts):
        numbers = np.empty(len(texts), dtype=np.int32)
        for rows, words, lengths in _words(texts, prefix):
            if not _are_digits(words, lengths):
                break
            numbers[rows] = _with_base_11(words << np.uint64(8 * (8 - max(longest, 1))))
        else:
            return numbers
    numbers = np.empty(len(texts), dtype=np.uint64)
    for rows, words, lengths in _words(texts, prefix):
        numbers[rows] = words.byteswap()
        if longest < 8:
            # Bytes of zero at the end of a text count, too.
            numbers[rows] |= lengths.astype(np.uint64)
    return numbers


def _common_prefix(texts: pa.Array) -> int:
    """Return how many bytes all texts begin with."""
    sample = texts.take(pa.array(np.arange(0, len(texts), len(texts) // 1000 + 1)))
    for some in (sample, texts):
        # What the first and the last in order have in common, all between them have.
        extremes = pc.min_max(some).as_py()
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(*extremes.values(), strict=False))
        prefix = "".join(letter for letter, _ in alike)
        if pc.all(pc.starts_with(texts, prefix)).as_py():
            break
    return len(prefix.encode())


def _words(texts: pa.Array, prefix: int) -> Iterator[tuple[slice, Words, Ints]]:
    """Yield, block by block, the bytes after the prefix as the lowest ones of 64-bit words.

    With the rows of the block and how many bytes each has; at most 8.
    """
    every = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    letters = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    masks = np.array([2 ** (8 * n) - 1 for n in range(9)], dtype=np.uint64)
    for first in range(0, len(texts), _BLOCK):
        offsets = every[first : first + _BLOCK + 1]
        n_bytes = int(offsets[-1] - offsets[0])
        aligned = np.zeros(n_bytes // 8 + 3, dtype="<u8")
        aligned.view(np.uint8)[:n_bytes] = letters[offsets[0] : offsets[-1]]
        begins = offsets[:-1] - (offsets[0] - prefix)
        place, shift = begins >> 3, (begins & 7).astype(np.uint64) << np.uint64(3)
        # The bytes lie in two words; a shift by all 64 bits would do nothing.
        words = aligned[place] >> shift
        words |= aligned[place + 1] << np.uint64(1) << (np.uint64(63) - shift)
        lengths = np.diff(offsets) - prefix
        yield slice(first, first + len(words)), words & masks[lengths], lengths


def _are_digits(words: Words, lengths: Ints) -> bool:
    """Whether all bytes of texts of these lengths are digits, 0x30 to 0x39."""
    tens = words + _each(0x06)
    tens |= words
    filled = (words >> np.uint64(4)) & _each(0x01)
    if ((tens & _each(0xF0)) ^ (filled * np.uint64(0x30))).any():
        return False
    # A byte of zero within a text is none of the zeros after it.
    n_digits = (filled * _each(0x01)) >> np.uint64(56)
    return int(n_digits.sum()) == int(lengths.sum())


def _with_base_11(words: Words) -> Words:
    """Read 8 digits a word, the first in the lowest byte, as a number in base 11.

    No digit counts 0, the digit 0 counts 1, ...: the numbers are in the order of the texts.
    Neighbours are joined to pairs, these to fours, and these to one number.
    """
    words = (words & _each(0x0F)) + ((words >> np.uint64(4)) & _each(0x01))
    for bits, mask in ((8, 0x00FF00FF00FF00FF), (16, 0x0000FFFF0000FFFF), (32, 0xFFFFFFFF)):
        words *= np.uint64(1 + (11 ** (bits // 8) << bits))
        words >>= np.uint64(bits)
        words &= np.uint64(mask)
    return words


def _each(byte: int) -> np.uint64:
    """Return a word of 8 such bytes."""
    return np.uint64(byte * 0x0101010101010101)
