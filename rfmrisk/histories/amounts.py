"""Amounts that are text: decimal marks, thousands and currencies, judged over the whole column."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from rfmrisk.histories.missing import missing_unless, missing_where
from rfmrisk.histories.options import OptionNeededError, ReadingOptions


class NumberFormat(NamedTuple):
    """How numbers are written: the decimal mark, and whether thousands are grouped by the other."""

    decimal: str = "."
    grouped: bool = False

    @property
    def thousands(self) -> str:
        """The mark between thousands, where they are grouped."""
        return "," if self.decimal == "." else "."


PLAIN = NumberFormat()
_FORMATS = [NumberFormat(decimal, grouped) for grouped in (False, True) for decimal in ".,"]

_CURRENCY = r"(?:[A-Z]{0,3}\p{Sc}|[A-Z]{3}|kr\.?|zł|Kč|Ft|Rs\.?|R)"
_SPACES = r"[ \x{a0}\x{2009}\x{202f}'\x{2019}]"
_NUMBER = (
    rf"^\s*(?P<sign>[-+(]?)\s*(?P<before>{_CURRENCY}?)\s*(?P<second>[-+]?)"
    rf"(?P<digits>(?:\d{{1,3}}(?:{_SPACES}\d{{3}})+|\d+)?(?:[.,]\d+)*[.,]?(?:[eE][-+]?\d+)?)"
    rf"\s*(?P<after>{_CURRENCY}?)\s*(?P<last>[-)]?)\s*$"
)
# What only a decimal point explains: "1.5", "1.2345", "0.125", and thousands that are not grouped.
_POINTED = r"\.(\d{0,2}|\d{4,})$|^[-+]?0?\.|[eE]|^[-+]?\d{4,}"


def parse_number_text(
    text: pa.ChunkedArray, name: str, options: ReadingOptions, written: NumberFormat | None = None
) -> pa.ChunkedArray:
    """Convert text to float64; what cannot be read becomes missing.

    Parameters
    ----------
    text : pyarrow.ChunkedArray of text
    name : str
        The column, for errors.
    options : ReadingOptions
    written : NumberFormat or None, default=None
        How the numbers are written; None finds it out.

    Raises
    ------
    OptionNeededError
        Two formats read the column equally well, and differently.
    ValueError
        It mixes currencies.
    """
    if options.decimal != "," and options.thousands in (None, ",") and written in (None, PLAIN):
        try:
            numbers = text.cast(pa.float64())
        except pa.ArrowInvalid:
            pass
        else:
            if options.decimal or options.thousands or written or not _could_be_thousands(text):
                return numbers
    distinct = pc.unique(text)
    if written is None:
        written = find_number_format([text], name, options)
    read = _read(_digits(distinct), written)
    return pa.chunked_array([read.take(pc.index_in(text, value_set=distinct).combine_chunks())])


def find_number_format(
    chunks: Iterable[pa.ChunkedArray], name: str, options: ReadingOptions
) -> NumberFormat:
    """Find out how the numbers of a column, which may come in pieces, are written."""
    counts: Counter = Counter()
    currencies: set[str] = set()
    two_ways = False
    for chunk in chunks:
        if pointed(chunk) is not None:
            counts[PLAIN] += len(chunk) - chunk.null_count
            continue
        counted = pc.value_counts(_whole(chunk))
        values, times = counted.field("values"), counted.field("counts")
        parts = _parts(values)
        digits = _digits(values)
        for side in ("before", "after"):
            found = pc.unique(pc.struct_field(parts, side)).drop_null()
            currencies |= {currency for currency in found.to_pylist() if currency}
        by_decimal: dict[str, pa.Array] = {}
        for written in _FORMATS:
            valid = _is_written(digits, written)
            counts[written] += pc.sum(pc.if_else(valid, times, 0)).as_py() or 0
            by_decimal[written.decimal] = pc.or_(valid, by_decimal.get(written.decimal, valid))
        marked = pc.match_substring_regex(digits, r"[.,]")
        two_ways |= bool(pc.any(pc.and_(marked, pc.and_(*by_decimal.values()))).as_py())
    if len(currencies) > 1:
        raise ValueError(
            f"column {name!r} mixes the currencies {sorted(currencies)}: their amounts cannot be "
            "added; convert them to one"
        )
    allowed = [written for written in _FORMATS if _is_allowed(written, options)]
    most = max(counts[written] for written in allowed)
    best = [written for written in allowed if counts[written] == most]
    decimals = sorted({written.decimal for written in best})
    if two_ways and len(decimals) > 1:
        raise OptionNeededError(
            f"the numbers of column {name!r} can be read in two ways (is 1.234 one, or one "
            "thousand?)",
            "Say which mark is the decimal one by",
            column=name,
            decimal=(".", ","),
        )
    return best[0]


def _is_allowed(written: NumberFormat, options: ReadingOptions) -> bool:
    if options.decimal and written.decimal != options.decimal:
        return False
    if options.thousands in (",", "."):
        return written.grouped and written.thousands == options.thousands
    return True


def pointed(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return numbers with a decimal point that can be nothing else; None where there are others."""
    if not pc.any(pc.match_substring(text.slice(0, 1000), ".")).as_py():
        return None
    try:
        numbers = text.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return None if _could_be_thousands(text) else numbers


def _could_be_thousands(text: pa.ChunkedArray) -> bool:
    """Whether numbers with a decimal point might have grouped thousands instead: all "1.234"."""
    for some in (text.slice(0, 1000), text):
        if pc.any(pc.match_substring_regex(some, _POINTED)).as_py():
            return False
    return bool(pc.any(pc.match_substring(text, ".")).as_py())


def _parts(values: pa.Array) -> pa.StructArray:
    values = pc.replace_substring(values.cast(pa.string()), "\N{MINUS SIGN}", "-")
    return pc.extract_regex(values, _NUMBER)


def _digits(values: pa.Array) -> pa.Array:
    """Return the signed digits of each value, currency and spaces left out."""
    parts = _parts(values)
    digits = pc.replace_substring_regex(pc.struct_field(parts, "digits"), _SPACES, "")
    digits = missing_unless(r"\d", digits)
    signs = [pc.struct_field(parts, part) for part in ("sign", "second", "last")]
    opened, closed = pc.equal(signs[0], "("), pc.equal(signs[2], ")")
    minus = opened
    for sign in signs:
        minus = pc.or_(minus, pc.equal(sign, "-"))
    digits = missing_where(pc.not_equal(opened, closed), digits)
    return pc.if_else(minus, pc.binary_join_element_wise("-", digits, ""), digits)


def _is_written(digits: pa.Array, written: NumberFormat) -> pa.Array:
    decimal, thousands = f"\\{written.decimal}", f"\\{written.thousands}"
    before = rf"(?:[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+|\d{{0,3}})" if written.grouped else r"\d*"
    pattern = rf"^-?{before}(?:{decimal}\d*)?(?:[eE][-+]?\d+)?$"
    return pc.fill_null(pc.match_substring_regex(digits, pattern), False)


def _read(digits: pa.Array, written: NumberFormat) -> pa.Array:
    digits = missing_where(pc.invert(_is_written(digits, written)), digits)
    digits = pc.replace_substring(digits, written.thousands, "")
    return pc.replace_substring(digits, written.decimal, ".").cast(pa.float64())


def _whole(text: pa.ChunkedArray) -> pa.Array:
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
