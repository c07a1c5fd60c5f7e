"""Whole numbers that a user gives."""

from numbers import Integral
from typing import Any


def is_integer(value: Any) -> bool:
    """Whether a value is a whole number; True is none.

    Examples
    --------
    >>> import numpy as np
    >>> [is_integer(value) for value in (3, np.int64(3), 3.0, True)]
    [True, True, False, False]
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_integer(value: Any, name: str, lowest: int) -> None:
    """Raise on what is no whole number, or too low.

    Raises
    ------
    ValueError
        Names the parameter, what is allowed, and what was got.

    Examples
    --------
    >>> check_integer(True, "cv", 2)
    Traceback (most recent call last):
    ...
    ValueError: cv must be an integer of at least 2; got True
    """
    if not is_integer(value) or value < lowest:
        raise ValueError(f"{name} must be an integer of at least {lowest}; got {value!r}")
