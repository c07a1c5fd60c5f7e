"""The features of one customer, computed the slow and obvious way with pandas.

Each function takes the transactions of one customer, sorted by time, and the moment of decision.
"""

import numpy as np
import pandas as pd

DAY = pd.Timedelta(days=1)


def rfm(history: pd.DataFrame, as_of: pd.Timestamp, window: str | None = None) -> dict:
    """Recency, frequency and gross monetary value."""
    inside = _since(history, as_of, window)
    return {
        "recency": (as_of - history["time"].max()) / DAY,
        "frequency": len(inside),
        "monetary": inside["amount"].abs().sum(),
    }


def spend(history: pd.DataFrame, as_of: pd.Timestamp, column: str, window: str | None) -> dict:
    """Every statistic of one column over one window."""
    inside = _since(history, as_of, window).dropna(subset=column)
    values = inside[column]
    first = history["time"].min() if window is None else as_of - pd.Timedelta(window)
    later = inside["time"] >= first + (as_of - first) / 2
    sizes = values.abs()
    total = sizes.sum()
    return {
        "sum": values.sum(),
        "count": len(values),
        "mean": values.mean(),
        "std": values.std(),
        "min": values.min(),
        "median": values.median(),
        "max": values.max(),
        "last": values.iloc[-1] if len(values) else np.nan,
        "credit_share": (values < 0).mean(),
        "trend": (sizes[later].sum() - sizes[~later].sum()) / total if total else np.nan,
    }


def category(history: pd.DataFrame, column: str) -> dict:
    """Most frequent level (the first in order of equals), number of levels, share of the top."""
    counts = history[column].dropna().value_counts().sort_index()
    if not len(counts):
        return {"top": np.nan, "levels": 0, "top_share": np.nan}
    return {
        "top": str(counts.idxmax()),
        "levels": len(counts),
        "top_share": counts.max() / counts.sum(),
    }


def temporal(history: pd.DataFrame, as_of: pd.Timestamp) -> dict:
    """Tenure, rhythm and the shares of all parts of the calendar."""
    times = history["time"]
    gaps = times.diff().dropna() / DAY
    hour, weekday = times.dt.hour, times.dt.day_of_week
    part = ((times.dt.day - 1) // 10).clip(upper=2)
    features = {
        "tenure": (as_of - times.min()) / DAY,
        "active_days": times.dt.date.nunique(),
        "gap_mean": gaps.mean(),
        "gap_std": gaps.std(),
        "night_share": ((hour >= 22) | (hour < 6)).mean(),
        "weekend_share": (weekday >= 5).mean(),
    }
    features |= {f"hour_{h}_{h + 6}_share": hour.between(h, h + 5).mean() for h in (0, 6, 12, 18)}
    names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    features |= {f"{name}_share": (weekday == k).mean() for k, name in enumerate(names)}
    for k, name in enumerate(("start", "middle", "end")):
        features[f"month_{name}_share"] = (part == k).mean()
    for k in range(1, 13):
        name = pd.Timestamp(2024, k, 1).month_name().lower()
        features[f"{name}_share"] = (times.dt.month == k).mean()
    return features


def _since(history: pd.DataFrame, as_of: pd.Timestamp, window: str | None) -> pd.DataFrame:
    if window is None:
        return history
    return history[history["time"] >= as_of - pd.Timedelta(window)]
