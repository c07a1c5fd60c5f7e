"""How a log is to be read where its own rows leave that open, in Python and at the command line."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

OnBad = Literal["raise", "drop"]
Duplicates = Literal["keep", "drop"]

# The columns of the Xente log.
CUSTOMER = "CustomerId"
TIME = "TransactionStartTime"
AMOUNT = "Amount"

# What `to_histories` takes of a log, and a model keeps.
ROLES = ("customer", "time", "amount", "order", "duplicates")

# About how many transactions are in memory at a time.
ROWS_PER_PART = 1_000_000

TIME_UNITS = ("s", "ms", "us", "ns", "days", "excel")

_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_HELP = {
    "separator": "between the fields of a CSV: , ; | or tab (default: recognised)",
    "decimal": "decimal mark of the numbers: . or , (default: recognised)",
    "thousands": "mark between thousands: , or . or a space (default: recognised)",
    "encoding": "of a CSV, such as utf-8, utf-16 or cp1252 (default: recognised)",
    "time_format": "of the times, such as %%d/%%m/%%Y (default: recognised)",
    "time_unit": f"of times that are numbers: {', '.join(TIME_UNITS)} (default: recognised)",
}


class OptionNeededError(ValueError):
    """A log that an option would make readable, or usable.

    Parameters
    ----------
    problem : str
        What is wrong.
    advice : str
        The text before the option.
    column : str or None
        The column that it is about.
    **options : str or tuple of str
        The options that help, each with the value or values that it may have.
    """

    def __init__(
        self,
        problem: str,
        advice: str,
        *,
        column: str | None = None,
        **options: str | tuple[str, ...],
    ) -> None:
        self.problem, self.advice, self.column = problem, advice, column
        self.options = {
            name: (values,) if isinstance(values, str) else values
            for name, values in options.items()
        }
        super().__init__(f"{problem}. {advice} {self._listed('{name}={value!r}')}")

    @property
    def for_command_line(self) -> str:
        """The message, with the options as the command line has them."""
        return f"{self.problem}. {self.advice} {self._listed('--{flag} {shown}')}"

    def to_plain(self) -> dict[str, Any]:
        """Return its parts as plain types, of which `from_plain` makes it again."""
        return {name: getattr(self, name) for name in ("problem", "advice", "column", "options")}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Make it again of what `to_plain` returned, which may have been through JSON."""
        options = {name: tuple(values) for name, values in plain["options"].items()}
        return cls(plain["problem"], plain["advice"], column=plain["column"], **options)

    def _listed(self, form: str) -> str:
        return " or ".join(
            form.format(name=name, flag=name.replace("_", "-"), value=value, shown=_quoted(value))
            for name, values in self.options.items()
            for value in values
        )


@dataclass(frozen=True)
class ReadingOptions:
    """What is given of how a log is written; None is to be recognised.

    Parameters
    ----------
    separator, decimal, thousands, encoding : str or None
        Of a file of text.
    time_format : str or None
        As `datetime.datetime.strptime` takes it, such as ``"%d/%m/%Y"``.
    time_unit : {"s", "ms", "us", "ns", "days", "excel"} or None
        Of times that are numbers: since 1970, or the days of a spreadsheet.

    Raises
    ------
    ValueError
        A value is not allowed.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    time_format: str | None = None
    time_unit: str | None = None

    def __post_init__(self) -> None:
        if self.separator is not None:
            separator = _SEPARATORS.get(self.separator, self.separator)
            object.__setattr__(self, "separator", separator)
            _check("separator", separator, len(separator) == 1 and separator.isascii(), "a letter")
        _check("decimal", self.decimal, self.decimal in (None, ".", ","), "'.' or ','")
        allowed = (None, ".", ",", " ", "'")
        _check("thousands", self.thousands, self.thousands in allowed, "',', '.', ' ' or \"'\"")
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands cannot both be {self.decimal!r}")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError as error:
                raise ValueError(f"encoding {self.encoding!r} is not known to Python") from error
        formatted = self.time_format is None or "%" in self.time_format
        _check("time_format", self.time_format, formatted, "a format such as '%d/%m/%Y'")
        known = self.time_unit is None or self.time_unit in TIME_UNITS
        _check("time_unit", self.time_unit, known, f"one of {list(TIME_UNITS)}")
        if self.time_format and self.time_unit:
            raise ValueError(
                "time_format and time_unit cannot both be given: times are one of them"
            )

    @classmethod
    def from_namespace(cls, namespace: argparse.Namespace) -> Self:
        """Take the options that `add_reading_options` has added to a parser."""
        return cls(**{name: getattr(namespace, name) for name in _HELP})

    @property
    def given(self) -> dict[str, Any]:
        """The options that are not left to be recognised."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def flags(self) -> list[str]:
        """The given options as arguments of the command line."""
        return [
            text
            for name, value in self.given.items()
            for text in (f"--{name.replace('_', '-')}", value)
        ]


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of reading to a parser of the command line."""
    group = parser.add_argument_group("how the log is written")
    for name, text in _HELP.items():
        group.add_argument(f"--{name.replace('_', '-')}", help=text)


def _check(name: str, value: Any, valid: bool, allowed: str) -> None:
    if not valid:
        raise ValueError(f"{name} must be {allowed}; got {value!r}")


def _quoted(value: str) -> str:
    plain = value and not set(value) & set(" ;|&'\"$()<>*\t\\")
    return value if plain else '"' + value.replace('"', '\\"') + '"'


RECOGNISED = ReadingOptions()
