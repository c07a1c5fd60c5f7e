"""How long an outcome window has to be: the purchase rhythm of a log."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rfmrisk.histories.flat import flatten
from rfmrisk.histories.segments import first_at_or_after
from rfmrisk.histories.timestamps import parse_duration

# Customers count as active for this long after a purchase.
ACTIVE = "90D"
CANDIDATES = ("7D", "14D", "30D", "60D", "90D", "120D", "180D", "365D")


def absence_curve(histories: pd.DataFrame, windows: Sequence[str] = CANDIDATES) -> pd.DataFrame:
    """Return, for each window, the share of active customers who stay away in it.

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
    histories : DataFrame of shape (n_customers, 2)
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

    Examples
    --------
    >>> from rfmrisk import suggest_outcome, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> suggest_outcome(to_histories(make_transactions(n_customers=300, random_state=0)))
    '...D'
    """
    curve = absence_curve(histories)
    if curve.empty:
        raise ValueError(
            f"the log is too short to suggest a window: it must span two windows of at least "
            f"{CANDIDATES[0]} with customers active in the first"
        )
    enough = curve.index[curve["share_absent"] < 0.5]
    return str(enough[0] if len(enough) else curve["share_absent"].idxmin())
