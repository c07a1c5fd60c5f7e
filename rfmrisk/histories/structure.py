"""Lines of a CSV that are broken: quotes that are never closed, too few or too many fields."""

from dataclasses import dataclass, field

import numpy as np

from rfmrisk.histories.dialect import Dialect

_LINE_END = (10, 13)
_SHOWN = 3


@dataclass
class BrokenLines:
    """Lines that cannot be divided into fields.

    Attributes
    ----------
    count : int
    first : list of (int, str)
        The numbers of the first few in the file, the first line being 1, and what is wrong.
    """

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def __add__(self, later: "BrokenLines") -> "BrokenLines":
        """Return these and others, those that come first in the file before the others."""
        return BrokenLines(self.count + later.count, sorted(self.first + later.first)[:_SHOWN])

    def __str__(self) -> str:
        """Say how many there are, and show the first few."""
        lines = f"{self.count:,} lines" if self.count > 1 else "1 line"
        shown = [f"line {line:,}: {wrong}" for line, wrong in self.first]
        more = ["..."] * (self.count > len(shown))
        return f"{lines} cannot be divided into fields ({', '.join(shown + more)})"


def mend_quotes(text: bytes, dialect: Dialect) -> tuple[memoryview, bool, BrokenLines]:
    """Leave out the lines whose quotes are broken.

    Returns
    -------
    body : memoryview
        All lines after the header but the broken ones.
    multiline : bool
        Whether quoted fields hold line ends.
    broken : BrokenLines
    """
    body = memoryview(text)[dialect.begin :]
    quote = dialect.quote.encode()
    if text.find(quote, dialect.begin) < 0:
        return body, False, BrokenLines()
    letters = np.frombuffer(body, np.uint8)
    quotes = np.flatnonzero(letters == ord(quote))
    if _well_formed(letters, quotes, dialect):
        ends = np.flatnonzero(letters == 10)
        opened, closed = np.searchsorted(ends, (quotes[::2], quotes[1::2]))
        over = np.flatnonzero(opened != closed)
        if not len(over):
            return body, False, BrokenLines()
        if not any(
            _swallows(bytes(body[quotes[2 * pair] : quotes[2 * pair + 1]]), dialect)
            for pair in over
        ):
            return body, True, BrokenLines()
    return _cut(bytes(body), dialect, text.count(b"\n", 0, dialect.begin) + 1)


def find_lines(text: bytes, rows: list[tuple[str, int, int]], dialect: Dialect) -> BrokenLines:
    """Return the numbers of the lines that rows with a wrong number of fields are on.

    Parameters
    ----------
    text : bytes
        The whole file.
    rows : list of (str, int, int)
        The row's text, and how many fields were expected and found.
    """
    found = []
    places: dict[str, int] = {}
    for row, expected, actual in rows[:1000]:
        begin = places.get(row, dialect.begin)
        place = text.find(row.encode(), begin)
        places[row] = place + 1
        line = text.count(b"\n", 0, max(place, 0)) + 1
        found.append((line, f"{actual} fields, not {expected}"))
    return BrokenLines(len(rows), sorted(found)[:_SHOWN])


def _well_formed(letters: np.ndarray, quotes: np.ndarray, dialect: Dialect) -> bool:
    """Whether quotes open at the begin of a field, and close at its end."""
    if len(quotes) % 2:
        return False
    around = np.array([ord(dialect.separator), ord(dialect.quote), *_LINE_END])
    opened, closed = quotes[::2], quotes[1::2]
    before = letters[opened[opened > 0] - 1]
    after = letters[closed[closed < len(letters) - 1] + 1]
    return bool(np.isin(before, around).all() and np.isin(after, around).all())


def _swallows(quoted: bytes, dialect: Dialect) -> bool:
    """Whether what stands between two quotes are whole lines of the log."""
    inner = quoted.splitlines()[1:-1]
    n_separators = len(dialect.names) - 1
    separator = dialect.separator.encode()
    return len(inner) > 1 and all(line.count(separator) == n_separators for line in inner[:100])


def _cut(body: bytes, dialect: Dialect, first_line: int) -> tuple[memoryview, bool, BrokenLines]:
    """Go from quote to quote, and leave out the lines with one that opens and never closes."""
    quote, separator = dialect.quote.encode(), dialect.separator.encode()
    around = (separator, b"\n", b"\r", b"")
    kept, broken = [], BrokenLines()
    multiline = False
    begin = place = counted = 0
    while (opened := body.find(quote, place)) >= 0:
        if body[max(opened - 1, 0) : opened] not in around:
            place = opened + 1  # a quote within a field, such as 5"
            continue
        closed = body.find(quote, opened + 1)
        while closed >= 0 and body[closed + 1 : closed + 2] == quote:
            closed = body.find(quote, closed + 2)
        quoted = body[opened:closed]
        if (
            closed >= 0
            and body[closed + 1 : closed + 2] in around
            and not (b"\n" in quoted and _swallows(quoted, dialect))
        ):
            multiline |= b"\n" in quoted
            place = closed + 1
            continue
        start = body.rfind(b"\n", begin, opened) + 1 or begin
        end = body.find(b"\n", opened) + 1 or len(body)
        first_line += body.count(b"\n", counted, opened)
        counted = opened
        broken += BrokenLines(1, [(first_line, "a quote is not closed")])
        kept.append(body[begin:start])
        begin = place = end
    kept.append(body[begin:])
    return memoryview(b"".join(kept)), multiline, broken
