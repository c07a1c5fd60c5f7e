"""How a file of text is written: encoding, header, separator and quote, recognised from its bytes.

The header is the first line that names the columns of the roles; where none does, it is the first
line with as many fields as most lines have. What lies before it are title rows.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from rfmrisk.histories.options import OptionNeededError

_SAMPLE = 2**18
_TITLE_ROWS = 50
_SEPARATORS = (",", ";", "\t", "|")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$")
# Four accented letters in a row are of no language that is written in cp1252.
_NOT_WESTERN = re.compile(rb"[\xc0-\xff]{4}|[\x81\x8d\x8f\x90\x9d]")


@dataclass(frozen=True)
class Dialect:
    """How a file of text is written.

    Attributes
    ----------
    encoding : str
    separator, quote : str
    names : list of str
        The columns, without spaces around their names.
    n_title_rows : int
        How many lines lie before the header.
    begin : int
        Where in the text, as UTF-8, the first line after the header begins.
    """

    encoding: str
    separator: str
    quote: str
    names: list[str]
    n_title_rows: int
    begin: int


def as_utf8(content: bytes, encoding: str | None) -> tuple[bytes, str]:
    """Return text as UTF-8, and the encoding that it had; None is to be recognised.

    Raises
    ------
    OptionNeededError
        It is not of an encoding that can be recognised, or not of the given one.
    """
    if encoding is None:
        encoding = _encoding(content)
    if encoding == "utf-8":
        return content, encoding
    try:
        return content.decode(encoding).encode(), encoding
    except UnicodeError as error:
        raise OptionNeededError(
            f"the text is not in the encoding {encoding}",
            "Give another one by",
            encoding=("utf-8", "cp1252"),
        ) from error


def find_dialect(
    text: bytes, encoding: str, separator: str | None, is_header: Callable[[list[str]], bool]
) -> Dialect:
    """Recognise the header, the separator and the quote of a text in UTF-8.

    Parameters
    ----------
    text : bytes
    encoding : str
        That it was in.
    separator : str or None
        None is to be recognised.
    is_header : callable
        Whether fields of a line name all columns of the roles.
    """
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    lines = _LINES.findall(sample.decode("utf-8", "replace")) or [""]
    separators = (separator,) if separator else _SEPARATORS
    found = _named_header(lines, separators, is_header) or _usual_header(lines, separators)
    row, separator = found
    quote = _quote(lines[row:], separator)
    n_lines = 1
    names = _fields(lines[row], separator, quote)
    while quote in lines[row] and n_lines < _TITLE_ROWS:
        # A name in the header may be of several lines.
        header = "".join(lines[row : row + n_lines])
        if header.count(quote) % 2 == 0 or row + n_lines >= len(lines):
            names = _fields(header, separator, quote)
            break
        n_lines += 1
    begin = len("".join(lines[: row + n_lines]).encode())
    return Dialect(encoding, separator, quote, names, row, begin)


def _encoding(content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    head = content[:4096]
    if head.count(0) > len(head) // 4:
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    if content.isascii():
        return "utf-8"
    try:
        codecs.utf_8_decode(content, "strict", True)
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return "utf-8"
        if _NOT_WESTERN.search(content):
            raise OptionNeededError(
                "the encoding of the text cannot be recognised: it is neither UTF-8, UTF-16 nor "
                "cp1252",
                "Say which it is by",
                encoding=("cp1250", "cp1251", "shift_jis"),
            ) from None
        return "cp1252"
    return "utf-8"


def _named_header(
    lines: list[str], separators: Collection[str], is_header: Callable[[list[str]], bool]
) -> tuple[int, str] | None:
    """Return the first line, and the separator, that give all columns of the roles."""
    for row, line in enumerate(lines[:_TITLE_ROWS]):
        for separator in separators:
            for quote in "\"'":
                if is_header(_fields(line, separator, quote)):
                    return row, separator
    return None


def _usual_header(lines: list[str], separators: Collection[str]) -> tuple[int, str]:
    """Return the first line that has as many fields as most lines, by the best separator."""
    best = (0.0, 0, 0, ",")
    for separator in separators:
        lengths = [len(fields) for fields in csv.reader(lines, delimiter=separator)]
        filled = Counter(n for n in lengths if n > 1)
        if not filled:
            continue
        n_fields, n_lines = filled.most_common(1)[0]
        share = n_lines / max(1, sum(n > 0 for n in lengths))
        if (share, n_fields) > best[:2]:
            row = next((row for row, n in enumerate(lengths) if n == n_fields), 0)
            best = (share, n_fields, row, separator)
    row = min(best[2], max(len(lines) - 1, 0))
    return row, best[3] if best[1] else next(iter(separators))


def _quote(lines: list[str], separator: str) -> str:
    text = "".join(lines)
    mark = re.escape(separator)
    single = re.findall(rf"(?:^|{mark})'[^'\n]*'(?={mark}|\r?$)", text, re.MULTILINE)
    return "'" if '"' not in text and len(single) >= len(lines) > 0 else '"'


def _fields(line: str, separator: str, quote: str) -> list[str]:
    reader = csv.reader(io.StringIO(line), delimiter=separator, quotechar=quote)
    try:
        return [name.strip().strip("\ufeff") for name in next(reader, [])]
    except csv.Error:
        return []
