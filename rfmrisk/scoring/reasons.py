"""Why a score is low: reasons as data, and the phrase book that makes sentences of them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple, Self

NO_HISTORY = "history"
"""What stands for the feature in the reason of a customer without any transaction."""

Value = float | str | None

_TEXTS = ("text", "zero", "missing", "typical")
_PLACEHOLDERS = {"feature", "field", "window", "value", "typical"}
_NAMED = {"{field}": r"(?P<field>.+)", "{window}": r"(?P<window>\d+[A-Za-z]+)"}
_WINDOW = re.compile(r"(\d+)([A-Za-z]+)")


@dataclass(slots=True)
class Reason:
    """One feature that lowers a customer's score.

    Attributes
    ----------
    feature : str
        Its name, or `NO_HISTORY`.
    code : str
        Short and stable, whatever the language of the sentence: ``"RECENCY"``.
    value : float, str or None
        The customer's; None is missing.
    bin : str or None
        The bin of a scorecard that the value is in.
    points : float
        The points that it costs.
    reference : str
        Against what: ``"best"`` (the feature's best bin), ``"cutoff"`` (an applicant at the
        cut-off of a scorecard), ``"average"`` or ``"typical"`` (the
        average or the typical customer of the training).
    typical : float, str or None
        The feature's typical value in the training, where it is known.
    """

    feature: str
    code: str
    value: Value
    bin: str | None
    points: float
    reference: str
    typical: Value = None


# The parts of a text: what stands there, then "value", "typical" or nothing, with its unit.
_Text = list[tuple[str, str, str]]


class _Phrase(NamedTuple):
    code: str
    concept: str
    texts: dict[str, _Text]


class PhraseBook:
    """Sentences for reasons, feature by feature.

    Parameters
    ----------
    book : mapping
        ``"features"``: for each feature, or kind of feature, its ``"code"``, a ``"text"`` and,
        where they say it better, a text for ``"zero"``, for ``"missing"`` and for the
        ``"typical"`` value, which follows where it differs from the customer's. The name of a
        kind may have ``{field}`` and ``{window}`` in it; the first that fits counts, and
        ``"{feature}"`` fits all. Features of one ``"concept"`` (by default the code) are given
        once. A text may have ``{feature}``, ``{field}``, ``{window}``, ``{value}`` and
        ``{typical}``, the numbers with a unit: ``{value:day}``, or ``{value:percent}``.
        ``"units"``: for each unit the words for one and for many; ``D``, ``h`` and so on are
        those of windows.

    Attributes
    ----------
    content : mapping
        ``book``.

    Raises
    ------
    ValueError
        Names the entry at fault and what is allowed.

    Examples
    --------
    >>> from rfmrisk.scoring.reasons import PhraseBook, Reason
    >>> book = PhraseBook.read()
    >>> book.sentence(Reason("rfm__recency", "RECENCY", 174.2, None, 31.0, "best"))
    'no purchase for 174 days'
    >>> spent = Reason("spend__amount_sum_30D", "AMOUNT", 0.0, None, 20.0, "best", 4200.0)
    >>> book.sentence(spent)
    'spent nothing in the last 30 days; typical customers spend 4,200'
    """

    def __init__(self, book: Mapping[str, Any]) -> None:
        self.content = book
        self._units = _checked_units(book)
        entries = _checked_features(book, self._units)
        self._kinds = [(_pattern(name), entry) for name, entry in entries.items()]
        self._phrases: dict[str, _Phrase] = {}

    @classmethod
    def read(cls, source: "str | Path | Mapping[str, Any] | PhraseBook | None" = None) -> Self:
        """Read a phrase book.

        Parameters
        ----------
        source : str, Path, mapping, PhraseBook or None, default=None
            A JSON file, or what it holds. It may leave out features and units: those of the book
            that comes with the package follow. None is that book alone.

        Returns
        -------
        PhraseBook

        Raises
        ------
        FileNotFoundError, ValueError
            There is no such file, or it is not as `PhraseBook` says.
        """
        if isinstance(source, cls):
            return source
        own: Any = {}
        if isinstance(source, str | Path):
            try:
                own = json.loads(Path(source).read_text(encoding="utf-8"))
            except (UnicodeError, ValueError) as error:
                raise ValueError(f"the reasons {str(source)!r} are no JSON: {error}") from error
        elif source is not None:
            own = source
        if not isinstance(own, Mapping):
            raise ValueError(f"reasons must be an object with features and units; got {own!r}")
        package = json.loads(files("rfmrisk.scoring").joinpath("phrases.json").read_text("utf-8"))
        unknown = sorted(own.keys() - package.keys())
        if unknown:
            raise ValueError(f"reasons may have {' and '.join(package)}; got {unknown[0]!r}")
        for part in package:
            if not isinstance(own.get(part, {}), Mapping):
                raise ValueError(f"{part} of the reasons must be an object; got {own[part]!r}")
        return cls(
            {
                part: {**own.get(part, {}), **_without(package[part], own.get(part, {}))}
                for part in package
            }
        )

    def code(self, feature: str) -> str:
        """Return the code of a feature.

        Parameters
        ----------
        feature : str
            Its name.

        Returns
        -------
        str
        """
        return self._phrase(feature).code

    def concept(self, feature: str) -> str:
        """Return what a feature is about; features of one concept are given once.

        Parameters
        ----------
        feature : str
            Its name.

        Returns
        -------
        str
        """
        return self._phrase(feature).concept

    def sentence(self, reason: Reason) -> str:
        """Write a reason as a sentence, as a customer understands it.

        Parameters
        ----------
        reason : Reason

        Returns
        -------
        str
        """
        phrase = self._phrase(reason.feature)
        texts, value, typical = phrase.texts, reason.value, reason.typical
        if _is_missing(value):
            return self._said(texts.get("missing") or texts["text"], value, typical)
        said = self._said((value == 0 and texts.get("zero")) or texts["text"], value, typical)
        if "typical" not in texts or _is_missing(typical):
            return said
        usual = self._said(texts["typical"], value, typical)
        # What is no different for a typical customer explains nothing.
        same = usual == self._said(texts["typical"], value, value)
        return said if same else f"{said}; {usual}"

    def _said(self, text: _Text, value: Value, typical: Value) -> str:
        """Put the values into a text, whose names stand there already."""
        said = ""
        for literal, slot, unit in text:
            said += literal
            if slot:
                said += _shown(value if slot == "value" else typical, unit, self._units)
        return said

    def _phrase(self, feature: str) -> _Phrase:
        known = self._phrases.get(feature)
        if known is None:
            known = self._phrases[feature] = self._found(feature)
        return known

    def _found(self, feature: str) -> _Phrase:
        entry, named = next(
            (entry, found.groupdict())
            for pattern, entry in self._kinds
            if (found := pattern.fullmatch(feature))
        )
        window = _WINDOW.fullmatch(named.get("window") or "")
        if window:
            unit = window[2] if window[2] in self._units else ""
            named["window"] = _shown(float(window[1]), unit, self._units) if unit else window[0]
        named |= {"feature": _spoken(feature)}
        if "field" in named:
            named["field"] = _spoken(named["field"])
        code = entry["code"]
        texts = {name: _with_names(entry[name], named) for name in _TEXTS if name in entry}
        concept = entry.get("concept", code)
        # A text that names its field is about that field alone.
        subject = named.get("field") or (feature if code == "OTHER" else "")
        return _Phrase(code, f"{concept} {subject}".strip(), texts)


def _with_names(text: str, named: Mapping[str, str]) -> _Text:
    """Take a text apart, with the names of the feature in their places."""
    parts: _Text = []
    before = ""
    for literal, placeholder, unit, _ in Formatter().parse(text):
        before += literal
        if placeholder in ("value", "typical"):
            parts.append((before, placeholder, unit or ""))
            before = ""
        elif placeholder is not None:
            before += named[placeholder]
    return [*parts, (before, "", "")]


def _shown(value: Value, unit: str, units: Mapping[str, list[str]]) -> str:
    """Return a value as a text shows it, with the unit that the text asks for."""
    if isinstance(value, str):
        return value
    if value is None or value != value:  # noqa: PLR0124 (NaN is not itself)
        return "-"
    if unit == "percent":
        return f"{100 * value:.0f} %"
    # Of days, purchases and so on nobody wants a fraction, where there are some.
    whole = abs(value) >= (10 if unit else 100) or value == round(value)
    shown = f"{value:,.0f}" if whole else f"{value:.{2 if unit else 3}g}"
    return f"{shown} {units[unit][shown != '1']}" if unit else shown


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 (NaN is not itself)


def _spoken(name: str) -> str:
    """Return a name of a column as text."""
    return name.rpartition("__")[2].replace("_", " ")


def _without(package: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in package.items() if name not in own}


def _pattern(name: str) -> re.Pattern[str]:
    if name == "{feature}":
        return re.compile(".*", re.DOTALL)
    part, separator, own = name.rpartition("__")
    text = re.escape(own)
    for placeholder, group in _NAMED.items():
        text = text.replace(re.escape(placeholder), group)
    # An aggregator that is not in a union gives its features no prefix.
    needed = "" if "{field}" in own else "?"
    return re.compile(f"(?:{re.escape(part + separator)}){needed}{text}", re.DOTALL)


def _checked_units(book: Mapping[str, Any]) -> dict[str, list[str]]:
    units = dict(book.get("units", {}))
    for name, words in units.items():
        if (
            not isinstance(words, list)
            or len(words) != 2
            or not all(isinstance(word, str) for word in words)
        ):
            raise ValueError(
                f"the unit {name!r} of the reasons must be the words for one and for many, such "
                f'as ["day", "days"]; got {words!r}'
            )
    return units


def _checked_features(book: Mapping[str, Any], units: Mapping[str, Any]) -> dict[str, Any]:
    entries = dict(book.get("features", {}))
    for name, entry in entries.items():
        at = f"the feature {name!r} of the reasons"
        if not isinstance(entry, Mapping) or not {"code", "text"} <= entry.keys():
            raise ValueError(f"{at} must be an object with code and text; got {entry!r}")
        unknown = sorted(entry.keys() - {"code", "concept", *_TEXTS})
        if unknown:
            allowed = ", ".join(("code", "concept", *_TEXTS))
            raise ValueError(f"{at} may have {allowed}; got {unknown[0]!r}")
        for key, text in entry.items():
            if not isinstance(text, str):
                raise ValueError(f"{key} of {at} must be text; got {text!r}")
        for key in _TEXTS:
            _check_text(entry.get(key, ""), f"{key} of {at}", name, units)
    if "{feature}" not in entries:
        raise ValueError('features of the reasons must have "{feature}", for all that are left')
    # What fits all comes last.
    entries["{feature}"] = entries.pop("{feature}")
    return entries


def _check_text(text: str, at: str, name: str, units: Mapping[str, Any]) -> None:
    known = {
        placeholder
        for placeholder in _PLACEHOLDERS
        if f"{{{placeholder}}}" in _NAMED and f"{{{placeholder}}}" in name
    } | {"feature", "value", "typical"}
    allowed = ", ".join(f"{{{placeholder}}}" for placeholder in sorted(known))
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{at} has a brace without another: {text!r}") from error
    for _, placeholder, unit, conversion in parts:
        if placeholder is None:
            continue
        if placeholder not in known or conversion:
            raise ValueError(f"{at} may have {allowed}; got {{{placeholder}}}")
        if unit and unit != "percent" and unit not in units:
            raise ValueError(
                f"{at} has the unit {unit!r}; known are {', '.join(['percent', *units])}"
            )
