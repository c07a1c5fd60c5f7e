"""The columns of a file of text: each gets the type that all its values have."""

from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from rfmrisk.histories.amounts import NumberFormat, parse_number_text, pointed
from rfmrisk.histories.datetimes import DAY_FIRST, ISO, MONTH_FIRST, parse_text_times
from rfmrisk.histories.missing import missing_where
from rfmrisk.histories.options import ReadingOptions
from rfmrisk.histories.roles import Formats

# What programs write for a number that is missing. In text, "NA" is a value like any other.
_GAPS = pa.array(
    [
        "",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "NaN",
        "nan",
        "-nan",
        "NULL",
        "Null",
        "null",
        "None",
        "<NA>",
        "-",
        ".",
        "\\N",
    ],
    pa.string(),
)
_HEAD = 100
_EXACT = 2**53  # whole numbers beyond it are no floats

_ID = r"^(0|-?[1-9][0-9]{0,17})(\.0*)?$"
_DIGITS = r"^[-+]?[\d.,]+$"


def as_ids(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Make whole numbers of ids where that changes none of them (as it would "00017").

    "17850.0" is the number that it was before a column with gaps became one of floats.
    """
    plain = _plain_numbers(text) if len(text) and not text.null_count else None
    if plain is not None and types.is_integer(plain.type):
        return plain
    ids = missing_where(pc.is_in(text, value_set=_GAPS), text)
    numeric = pc.match_substring_regex(ids, _ID)
    if ids.null_count == len(ids) or not pc.all(numeric, min_count=0).as_py():
        return text
    return pc.replace_substring_regex(ids, r"\.0*$", "").cast(pa.int64())


def without_blanks(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text with blanks missing, and without spaces where all values are padded."""
    head = text.slice(0, _HEAD)
    if pc.any(pc.or_(pc.starts_with(head, " "), pc.ends_with(head, " "))).as_py():
        padded = pc.or_(pc.starts_with(text, " "), pc.ends_with(text, " "))
        if pc.all(pc.or_(padded, pc.equal(text, ""))).as_py():
            text = pc.utf8_trim_whitespace(text)
    if len(text) and pc.min(pc.binary_length(text)).as_py() == 0:
        text = missing_where(pc.equal(text, ""), text)
    return text


def as_plain(text: pa.ChunkedArray, *, times: bool) -> pa.ChunkedArray:
    """Convert ISO-8601 times of one form, or numbers with a decimal point; others stay text."""
    if times:
        for zone in (None, "UTC"):
            with suppress(pa.ArrowInvalid):
                return text.cast(pa.timestamp("us", zone))
        return text
    numbers = pointed(text)
    return text if numbers is None else numbers


def as_typed(
    text: pa.ChunkedArray, name: str, options: ReadingOptions, formats: Formats
) -> pa.ChunkedArray:
    """Return a column as whole numbers, numbers, booleans, times or text: what all values are.

    Raises
    ------
    OptionNeededError
        Its numbers can be read in two ways.
    """
    if len(text) and not text.null_count:
        numbers = _plain_numbers(text)
        if numbers is not None:
            return numbers
    text = without_blanks(text)
    if text.null_count == len(text):
        return pa.chunked_array([pa.nulls(len(text))])
    if text.null_count:
        numbers = _plain_numbers(text)
        if numbers is not None:
            return numbers
    head = text.drop_null().slice(0, _HEAD)
    if pc.any(pc.match_substring_regex(head, r"^[-+(]?[.,]?\d")).as_py():
        filled = missing_where(pc.is_in(text, value_set=_GAPS), text)
        found = (
            _plain_numbers(filled)
            or _marked_numbers(filled, name, options, formats.amount)
            or _times(text, name, options, formats.time)
        )
        return text if found is None else found
    if pc.all(pc.is_in(pc.utf8_lower(head), value_set=pa.array(["true", "false"]))).as_py():
        lower = pc.utf8_lower(text)
        if pc.all(pc.is_in(lower, value_set=pa.array(["true", "false"])), min_count=0).as_py():
            return lower.cast(pa.bool_())
    return text


def _plain_numbers(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return numbers with a decimal point, or without; None where a value is something else."""
    try:
        whole = text.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    else:
        zero = pc.starts_with(text, "0")
        if pc.any(zero).as_py():
            long = pc.greater(pc.binary_length(text), 1)
            if pc.any(pc.and_(zero, long)).as_py():
                return None
        negative = pc.min(whole).as_py() < 0 and pc.any(pc.starts_with(text, "-0")).as_py()
        return None if negative else whole
    try:
        numbers = text.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    spread = pc.min_max(numbers).as_py()
    if max(-spread["min"], spread["max"]) >= _EXACT:
        coded = pc.match_substring_regex(text, r"^[-+]?\d{16,}$")
        if pc.any(coded).as_py():
            return None
    # Codes such as 007, between others such as 1.5, are codes.
    coded = pc.match_substring_regex(text.slice(0, 1000), r"^-?0\d")
    return None if pc.any(coded).as_py() else numbers


def _marked_numbers(
    text: pa.ChunkedArray, name: str, options: ReadingOptions, written: NumberFormat | None
) -> pa.ChunkedArray | None:
    """Return numbers with a decimal comma or grouped thousands; None where a value is none."""
    distinct = pc.unique(text).drop_null()
    marked = pc.match_substring_regex(distinct, r"[.,]")
    if not (pc.all(pc.match_substring_regex(distinct, _DIGITS)).as_py() and pc.any(marked).as_py()):
        return None
    known = written if written and (written.decimal == "," or written.grouped) else None
    numbers = parse_number_text(text, name, options, known)
    return None if numbers.null_count > text.null_count else numbers


def _times(
    text: pa.ChunkedArray, name: str, options: ReadingOptions, written: str | None
) -> pa.ChunkedArray | None:
    """Return dates as those of the log's times; None where a value is none."""
    dated = r"^\d{4}-\d\d-\d\d"
    if written in (DAY_FIRST, MONTH_FIRST) or options.time_format:
        dated = r"^\d{1,4}[-/. ]"
    elif written not in (ISO, None):
        return None
    if not pc.all(pc.match_substring_regex(text.drop_null().slice(0, _HEAD), dated)).as_py():
        return None
    times, zones = parse_text_times(text, name, options, written)
    mixed = zones.with_ and zones.without
    return None if mixed or times.null_count > text.null_count else times
