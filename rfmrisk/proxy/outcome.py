"""How long an outcome window has to be: the purchase rhythm of a log."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.histories.flat import FlatHistories, flatten
from rfmrisk.histories.segments import first_at_or_after
from rfmrisk.histories.timestamps import parse_duration

# Customers count as active for this long after a purchase.
ACTIVE = "90D"
# Where fewer of the customers have come back, none is said to.
RETURNING = 0.01
CANDIDATES = ("7D", "14D", "30D", "60D", "90D", "120D", "180D", "365D")


def absence_curve(histories: pd.DataFrame, windows: Sequence[str] = CANDIDATES) -> pd.DataFrame:
    """Return, for each window just before ``as_of``, the share of active customers who stay away.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, 2)
        As made by `to_histories`.
    windows : sequence of str
        Lengths of the window before ``as_of``.

    Returns
    -------
    DataFrame of shape (n_windows, 2)
        Index ``window``; ``n_active``, the customers with a transaction in the 90 days just
        before the window, and ``share_absent``, the share of them without one in the window.
        Windows for which the log is too short, less than twice as long, are left out.

    Raises
    ------
    ValueError
        There are no transactions, or a window is not a positive duration.

    Examples
    --------
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import absence_curve
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> absence_curve(histories)["share_absent"].between(0, 1).all()
    np.True_
    """
    flat = flatten(histories)
    if not len(flat.times):
        raise ValueError("the histories hold no transactions")
    span = int(flat.as_of.max() - flat.times.min())
    active_for = parse_duration(ACTIVE, "ACTIVE")
    rows: dict[str, tuple[int, float]] = {}
    for window in windows:
        length = parse_duration(window, "each of windows")
        if 2 * length > span:
            continue
        opening = first_at_or_after(flat.times, flat.starts, flat.ends, flat.as_of - length)
        before = first_at_or_after(
            flat.times, flat.starts, flat.ends, flat.as_of - length - active_for
        )
        active = opening > before
        absent = (flat.ends == opening)[active]
        if len(absent):
            rows[window] = (len(absent), float(np.mean(absent)))
    columns = ["n_active", "share_absent"]
    curve = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return curve.rename_axis("window")


def suggest_outcome(histories: pd.DataFrame) -> str:
    """Return the shortest window in which most active customers buy again.

    In a window that is too short for the rhythm of a log, absence means little: within 30 days
    most customers of a shop are merely not due yet.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, n_columns)
        As made by `to_histories`.

    Returns
    -------
    str
        A duration such as ``"30D"``; where no window has less than half of the active
        customers absent, the one with the fewest.

    Raises
    ------
    ValueError
        The log is shorter than two of the shortest windows.

    Warns
    -----
    UserWarning
        Nobody returns: fewer than one customer in a hundred bought twice.

    Notes
    -----
    The share is an average over time. Every day within 90 days after a transaction, and a
    window before ``as_of``, is a day on which the customer was active and could be seen to return
    within the window. So it rests on the rhythm between all transactions, and not on what
    happens to lie just before ``as_of``, which may be the timestamp of a decision.

    Examples
    --------
    >>> from rfmrisk import suggest_outcome, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> suggest_outcome(to_histories(make_transactions(n_customers=300, random_state=0)))
    '...D'
    """
    flat = flatten(histories)
    span = int(flat.as_of.max() - flat.times.min()) if len(flat.times) else 0
    absent = {
        window: share
        for window in CANDIDATES
        if 2 * parse_duration(window, "window") <= span
        and (share := _share_absent(flat, parse_duration(window, "window"))) is not None
    }
    if not absent:
        raise ValueError(
            f"the log is too short to suggest a window: it must span two windows of at least "
            f"{CANDIDATES[0]} with customers active in the first"
        )
    filled = flat.ends > flat.starts
    returned = flat.times[flat.ends[filled] - 1] > flat.times[flat.starts[filled]]
    if returned.mean() < RETURNING:
        warnings.warn(
            f"nobody returns: {int(returned.sum()):,} of {len(returned):,} customers have "
            "transactions at more than one time. Absence then says nothing of them, whatever the "
            "outcome window",
            UserWarning,
            stacklevel=2,
        )
    enough = [window for window, share in absent.items() if share < 0.5]
    if enough:
        return enough[0]
    return min(reversed(absent), key=lambda window: absent[window])


def _share_absent(flat: FlatHistories, window: int) -> float | None:
    """Return in which share of the active time no transaction followed within a window."""
    as_of = flat.as_of[flat.customers]
    seen = as_of - flat.times
    gap = seen.copy()  # to the next transaction; of the last one, to as_of
    gap[:-1] = np.where(
        flat.customers[1:] == flat.customers[:-1], flat.times[1:] - flat.times[:-1], seen[:-1]
    )
    active = parse_duration(ACTIVE, "ACTIVE")
    exposed = np.clip(np.minimum(gap, seen - window), 0, active)
    absent = np.clip(gap - window, 0, active)
    total = exposed.sum(dtype=np.float64)
    return float(absent.sum(dtype=np.float64) / total) if total else None


def other_outcome(histories: pd.DataFrame, outcomes: Sequence[Any]) -> str:
    """Return the advice to take the suggested window, or nothing where it is set already."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            suggested = suggest_outcome(histories)
    except ValueError:  # the log is too short to say
        return ""
    lengths = [parse_duration(outcome, "outcome") for outcome in outcomes if outcome is not None]
    if parse_duration(suggested, "outcome") in lengths:
        return ""
    return f": suggest_outcome finds {suggested}"
