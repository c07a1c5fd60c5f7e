"""Recognise a category in each way that a file or a database may write it.

A category is known by its text. Only where that text is not known, it is looked up without
trailing blanks (which CHAR(n) adds and takes away), as a number without decimal zeros (``1.0``
and ``1.00`` are ``1``; ``01`` is not), and, where all categories are truth values, as one of those.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

NUMBER = "-?(0|[1-9][0-9]*)[.][0-9]+"

TRUE = ("true", "t", "1")
FALSE = ("false", "f", "0")

_NUMBER = re.compile(NUMBER)


def are_truth_values(categories: Collection[str]) -> bool:
    """Return whether all categories say true or false, and no two the same.

    Examples
    --------
    >>> are_truth_values(["True", "False"]), are_truth_values(["1", "0"]), are_truth_values(["f"])
    (True, True, False)
    """
    codes = {code(category, truth=True) for category in categories}
    letters = len(categories) == 1 and not {c.lower() for c in categories}.isdisjoint("tf")
    return 0 < len(categories) == len(codes) and codes <= {"0", "1"} and not letters


def code(category: str, *, truth: bool) -> str:
    """Return what is the same for all ways of writing a category.

    Parameters
    ----------
    category : str
        The text.
    truth : bool
        Whether the categories of the column are truth values, as `are_truth_values` finds.

    Returns
    -------
    str

    Examples
    --------
    >>> [code(text, truth=False) for text in ("web  ", "1.0", "2.50", "01", "-0.0", "true")]
    ['web', '1', '2.5', '01', '0', 'true']
    >>> [code(text, truth=True) for text in ("true", "F", "1.0")]
    ['1', '0', '1']
    """
    text = category.rstrip(" ")
    if _NUMBER.fullmatch(text):
        text = text.rstrip("0").rstrip(".")
        text = "0" if text == "-0" else text
    if truth and text.lower() in TRUE + FALSE:
        return "1" if text.lower() in TRUE else "0"
    return text


def bins_of_codes(bins: Mapping[str, int]) -> dict[str, int]:
    """Return the bin of each code; a code that categories of several bins share has none.

    Parameters
    ----------
    bins : mapping of str to int
        The bin of each category.

    Returns
    -------
    dict of str to int
    """
    truth = are_truth_values(bins)
    found: dict[str, set[int]] = {}
    for category, place in bins.items():
        found.setdefault(code(category, truth=truth), set()).add(place)
    return {text: min(places) for text, places in found.items() if len(places) == 1}


def find_bins(categories: Iterable[str], bins: Mapping[str, int], unseen: int) -> list[int]:
    """Return the bin of each category.

    Parameters
    ----------
    categories : iterable of str
        Texts.
    bins : mapping of str to int
        The bin of each category that is known.
    unseen : int
        The bin of the others.

    Returns
    -------
    list of int

    Examples
    --------
    >>> find_bins(["1", "1.0", "01"], {"1": 0, "2": 1}, unseen=9)
    [0, 0, 9]
    """
    categories = list(categories)
    found = [bins.get(category, -1) for category in categories]
    if -1 in found:
        codes, truth = bins_of_codes(bins), are_truth_values(bins)
        found = [
            codes.get(code(category, truth=truth), unseen) if place < 0 else place
            for category, place in zip(categories, found, strict=True)
        ]
    return found
