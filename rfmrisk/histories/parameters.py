"""What parameters may be, in the terms of scikit-learn's validation of parameters.

What reads logs imports `rfmrisk.histories.integers` instead: it does not wait for scikit-learn.
"""

from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, validate_parameter_constraints

Constraints = dict[str, list[Any]]
"""By parameter, what it may be: one of scikit-learn's constraints, or one of these."""


class NumberInterval(Interval):
    """An interval of numbers; True and False, which Python counts among them, are none.

    Parameters
    ----------
    type : {numbers.Integral, numbers.Real}
        Whole numbers, or any.
    left, right : float, int or None
        The ends; None is infinity.
    closed : {"left", "right", "both", "neither"}
        Which ends are inside.
    """

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value is a number inside."""
        return not isinstance(val, bool) and bool(super().is_satisfied_by(val))


SHARE = NumberInterval(Real, 0, 1, closed="neither")
"""A share, a rate or a level of confidence: above 0 and below 1."""
AUC = NumberInterval(Real, 0, 1, closed="both")


def at_least(least: int) -> NumberInterval:
    """Return the interval of the whole numbers from one on."""
    return NumberInterval(Integral, least, None, closed="left")


def check_parameters(function: str, **given: tuple[Any, list[Any]]) -> None:
    """Raise where a parameter of a function is not what it may be.

    An estimator declares ``_parameter_constraints`` and calls ``_validate_params`` instead. The
    decorator of scikit-learn would give its errors the name of the function also where an
    estimator that the function was given refuses a parameter of its own.

    Parameters
    ----------
    function : str
        Its name.
    **given : tuple of the value and a list of constraints
        By name of the parameter.

    Raises
    ------
    InvalidParameterError
        A ValueError and a TypeError. It names the parameter, what is allowed and what was got.

    Examples
    --------
    >>> check_parameters("label_stability", n_resamples=(True, [at_least(1)]))
    Traceback (most recent call last):
    ...
    sklearn.utils._param_validation.InvalidParameterError: The 'n_resamples' parameter of
    label_stability must be an int in the range [1, inf). Got True instead.
    """
    for name, (value, constraints) in given.items():
        validate_parameter_constraints({name: constraints}, {name: value}, function)
