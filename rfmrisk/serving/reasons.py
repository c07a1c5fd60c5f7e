"""What an answer says beside its numbers: the features that cost a customer most, in words."""

import msgspec
import numpy as np

from rfmrisk.serving.features import Columns, Levels

N_REASONS = 3

# Half a point is nothing that a customer could be told.
_LEAST = 0.5


class Reason(msgspec.Struct, gc=False):
    """One feature that lowers a customer's score, in words, and the points that it costs."""

    feature: str
    reason: str
    points: float


def tell_most(
    columns: Columns, names: list[str], lost: np.ndarray, against: str
) -> list[list[Reason]]:
    """Tell the features that cost each customer most.

    Parameters
    ----------
    columns : dict
        The features of n customers by name.
    names : list of str
        Those that can cost points.
    lost : ndarray of shape (n, len(names))
        The points that each costs.
    against : str
        Than whom they are fewer: "the average".
    """
    order = np.argsort(-lost, axis=1, kind="stable")[:, :N_REASONS]
    return [
        [
            Reason(
                names[place],
                f"{names[place]} = {_shown(columns[names[place]], customer)}: "
                f"{points:.0f} points below {against}",
                round(points, 2),
            )
            for place in order[customer].tolist()
            if (points := float(lost[customer, place])) >= _LEAST
        ]
        for customer in range(len(lost))
    ]


def _shown(values: np.ndarray | Levels, customer: int) -> str:
    if isinstance(values, Levels):
        code = values.codes[customer]
        return values.names[code] if code >= 0 else "missing"
    number = values[customer]
    if np.isnan(number):
        return "missing"
    return f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:.4g}"
