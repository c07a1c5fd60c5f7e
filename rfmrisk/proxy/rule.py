"""Whether a label is no more than one threshold of one column, so that clusters decide nothing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.histories.segments import Floats, Ints

DECIDES = 0.99
"""The share of the customers from which on one threshold is the whole of a label."""


@dataclass(frozen=True)
class LabelRule:
    """One threshold of one column that gives a label.

    Attributes
    ----------
    column : str
        Such as ``"recency"``.
    threshold : float
    above : bool
        Whether those from the threshold on are high-risk, or those below it.
    share : float
        The share of the customers whose label it gives.
    is_absence : bool
        Whether it says who had no transaction in the window, and nothing else.
    """

    column: str
    threshold: float
    above: bool
    share: float
    is_absence: bool

    @property
    def text(self) -> str:
        """The rule as text."""
        if self.is_absence:
            says = "who had no transaction in the window"
        elif self.above:
            says = f"whose {self.column} is {self.threshold:,.4g} or more"
        else:
            says = f"whose {self.column} is below {self.threshold:,.4g}"
        return (
            f"high-risk is {says}, for {self.share:.1%} of the customers; K-Means decides nothing"
        )


def label_rule(table: Any, labels: Ints) -> LabelRule | None:
    """Return the one threshold that gives the labels of at least 99 % of the customers.

    Parameters
    ----------
    table : DataFrame of shape (n_customers, n_columns)
        What the label was made of; one without names has no rule, and columns that are no
        numbers are not looked at. A missing value
        counts as the highest: no recency is the longest.
    labels : ndarray of int of shape (n_customers,)
        1 is high-risk; both occur.

    Returns
    -------
    LabelRule or None
        Absence from the window where that is the rule; of several others the one that gives the
        most labels; None where no threshold gives so many.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.proxy.rule import label_rule
    >>> rfm = pd.DataFrame({"recency": [2.0, 31.0, 45.0], "frequency": [3, 0, 0]})
    >>> label_rule(rfm, np.array([0, 1, 1])).text
    'high-risk is who had no transaction in the window, for 100.0% of the customers; K-Means ...'
    """
    found = []
    for name in table.columns if isinstance(table, pd.DataFrame) else ():
        if not pd.api.types.is_numeric_dtype(table[name].dtype):
            continue
        values = table[name].to_numpy(np.float64, na_value=np.nan)
        best = _best_threshold(np.where(np.isnan(values), np.inf, values), labels)
        if best is None:
            continue
        threshold, above, share = best
        counts = str(name).rsplit("__", maxsplit=1)[-1] == "frequency"
        is_absence = counts and not above and not (values[values < threshold] > 0).any()
        found.append(LabelRule(str(name), threshold, above, share, is_absence))
    found = [rule for rule in found if rule.share >= DECIDES]
    return max(found, key=lambda rule: (rule.is_absence, rule.share), default=None)


def _best_threshold(values: Floats, labels: Ints) -> tuple[float, bool, float] | None:
    """Return the threshold that gives most labels, whether from it on is 1, and their share."""
    levels, place = np.unique(values, return_inverse=True)
    if len(levels) < 2:
        return None
    ones = np.cumsum(np.bincount(place, weights=labels))[:-1]  # below each level but the first
    all_ = np.cumsum(np.bincount(place))[:-1]
    # Those below are 0 and those from the level on are 1, or the other way round.
    right = (all_ - ones) + (labels.sum() - ones)
    from_on, below = int(np.argmax(right)), int(np.argmin(right))
    above = right[from_on] >= len(labels) - right[below]
    chosen = from_on if above else below
    share = right[chosen] if above else len(labels) - right[chosen]
    return float(levels[chosen + 1]), bool(above), float(share / len(labels))
