"""A sample bank to learn and test on: a seeded transaction log with a latent default."""

from __future__ import annotations

from datetime import date
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import norm

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_transactions"]

DAY = 86_400  # seconds

# What the bank sells: category, products on offer, providers, share of purchases, usual amount.
CATALOGUE = pd.DataFrame(
    [
        ("airtime", 5, 0.34, 1_000),
        ("financial_services", 4, 0.22, 4_000),
        ("utility_bill", 3, 0.13, 8_000),
        ("data_bundles", 4, 0.13, 1_500),
        ("tv", 3, 0.08, 12_000),
        ("movies", 2, 0.04, 2_500),
        ("ticket", 2, 0.03, 10_000),
        ("transport", 2, 0.02, 3_000),
        ("other", 1, 0.01, 2_000),
    ],
    columns=["category", "products", "share", "amount"],
)
CASH = 1  # the catalogue's financial services are as good as cash

CHANNELS = ["ChannelId_1", "ChannelId_2", "ChannelId_3", "ChannelId_5"]
CHANNEL_SHARE = [0.05, 0.37, 0.55, 0.03]

# Purchases by the hour, from 06:00 to midnight: a bump at noon, the peak in the evening.
HOUR_WEIGHT = [1, 2, 3, 4, 4, 5, 6, 6, 5, 4, 4, 5, 7, 9, 9, 7, 4, 2]


@overload
def make_transactions(
    n_customers: int = ...,
    *,
    start: str | date = ...,
    days: int = ...,
    risk_effect: float = ...,
    default_rate: float = ...,
    random_state: int | np.random.Generator | None = ...,
    return_defaults: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def make_transactions(
    n_customers: int = ...,
    *,
    start: str | date = ...,
    days: int = ...,
    risk_effect: float = ...,
    default_rate: float = ...,
    random_state: int | np.random.Generator | None = ...,
    return_defaults: Literal[True],
) -> tuple[pd.DataFrame, pd.Series]: ...
def make_transactions(
    n_customers: int = 2_000,
    *,
    start: str | date = "2018-11-15",
    days: int = 180,
    risk_effect: float = 1.0,
    default_rate: float = 0.1,
    random_state: int | np.random.Generator | None = None,
    return_defaults: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.Series]:
    """Make the transaction log of a bank that does not exist."""
    first_day = _check(n_customers, start, days, risk_effect, default_rate)
    rng = _generator(random_state)

    risk = rng.standard_normal(n_customers)
    defaults = _draw_defaults(rng, risk, default_rate)
    customers = _make_customers(rng, risk_effect * risk, days)
    purchases = _make_purchases(rng, customers, _clocks(first_day, days))
    rows = pd.concat([purchases, _make_refunds(rng, customers, purchases, days)])
    log = _write_log(rng, rows.sort_values("time", kind="stable"), n_customers, first_day)
    if not return_defaults:
        return log
    ids = _ids("CustomerId", np.arange(1, n_customers + 1))
    index = pd.Index(ids.to_pandas(), name="CustomerId")
    return log, pd.Series(defaults, index=index, name="default")


def _draw_defaults(rng: np.random.Generator, risk: np.ndarray, default_rate: float) -> np.ndarray:
    """Default where risk and luck together exceed the threshold that gives the default rate."""
    strain = 0.9 * risk + np.sqrt(1 - 0.9**2) * rng.standard_normal(len(risk))
    return (strain > norm.isf(default_rate)).astype(np.int64)


def _make_customers(rng: np.random.Generator, push: np.ndarray, days: int) -> pd.DataFrame:
    """Traits of each customer; `push` is the latent risk times the strength of its effect."""
    n = len(push)
    arrives = np.where(rng.random(n) < 0.6, 0, rng.integers(days, size=n))
    lifetime = 1 + rng.exponential(400.0, n) * np.exp(-0.5 * push)
    return pd.DataFrame(
        {
            "arrives": arrives,
            "leaves": np.minimum(arrives + np.ceil(lifetime), days).astype(np.int64),
            # Purchases per day; nobody buys more often than every two hours on average.
            "rate": np.minimum(rng.lognormal(np.log(0.07), 1.3, n) * np.exp(-0.4 * push), 12),
            "rhythm": rng.integers(3, size=n),
            # A log-normal body with a Pareto tail: a few spend enormously.
            "level": rng.lognormal(0, 0.8, n) * np.exp(rng.exponential(0.5, n)),
            "trend": -0.08 * push + rng.normal(0, 0.08, n),
            "favourite": rng.choice(len(CATALOGUE), size=n, p=CATALOGUE["share"]),
            "loyalty": rng.beta(3, 2, n),
            "cash": np.minimum(rng.beta(1, 9, n) * np.exp(0.4 * push), 0.9),
            "night": np.minimum(rng.beta(1, 14, n) * np.exp(0.4 * push), 0.9),
            "refund": np.minimum(0.03 * np.exp(0.4 * push), 0.5),
            "channel": rng.choice(len(CHANNELS), size=n, p=CHANNEL_SHARE),
            "account": rng.permutation(n) + 1,
            "subscription": rng.permutation(n) + 1,
        }
    )


def _clocks(first_day: np.datetime64, days: int) -> np.ndarray:
    """Give each rhythm a clock, (3, days + 1), that runs fast on busy days; its mean pace is 1."""
    dates = first_day + np.arange(days)
    day_of_month = (dates - dates.astype("datetime64[M]")).astype(int) + 1
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(int)
    weekend = (dates.astype("datetime64[D]").view("int64") + 3) % 7 >= 5
    payday = (day_of_month >= 26) | (day_of_month <= 2)
    season = 1 + 0.15 * np.cos(2 * np.pi * (day_of_year - 355) / 365.25)  # highest at Christmas
    busy = np.stack(
        [
            np.where(payday, 2.5, 0.8) * np.where(weekend, 0.8, 1.0),  # lives from pay to pay
            np.where(payday, 1.2, 1.0) * np.where(weekend, 0.5, 1.2),  # buys on working days
            np.where(payday, 1.2, 1.0) * np.where(weekend, 1.3, 0.9),  # buys at the weekend
        ]
    )
    busy = busy * season
    busy /= busy.mean(axis=1, keepdims=True)
    return np.hstack([np.zeros((3, 1)), np.cumsum(busy, axis=1)])


def _make_purchases(
    rng: np.random.Generator, customers: pd.DataFrame, clocks: np.ndarray
) -> pd.DataFrame:
    """Purchases of all customers, one per row, with the time in seconds from the first day."""
    rhythm, arrives, leaves = (
        customers[name].to_numpy() for name in ("rhythm", "arrives", "leaves")
    )
    opening, closing = clocks[rhythm, arrives], clocks[rhythm, leaves]
    # A customer is known by a purchase, so each has one at least.
    counts = 1 + rng.poisson(customers["rate"] * (closing - opening))
    who = np.repeat(np.arange(len(customers)), counts)
    n = len(who)

    # Given their number, the purchases are uniform on the clock of the rhythm. The three clocks
    # stand one after the other, so that one search finds the day on all of them.
    moment = rng.uniform(opening[who], closing[who])
    turn = clocks[:, -1].max() + 1
    table = (clocks + turn * np.arange(3)[:, None]).ravel()
    place = np.searchsorted(table, moment + turn * rhythm[who], side="right") - 1
    day = np.clip(place - rhythm[who] * clocks.shape[1], arrives[who], leaves[who] - 1)

    trait = customers.iloc[who].reset_index(drop=True)
    hours = np.interp(rng.random(n), *_hour_quantiles())
    hours = np.where(rng.random(n) < trait["night"], rng.uniform(0, 6, n), hours)

    category = rng.choice(len(CATALOGUE), size=n, p=CATALOGUE["share"])
    category = np.where(rng.random(n) < trait["loyalty"], trait["favourite"], category)
    category = np.where(rng.random(n) < trait["cash"], CASH, category)
    channel = rng.choice(len(CHANNELS), size=n, p=CHANNEL_SHARE)
    channel = np.where(rng.random(n) < 0.8, trait["channel"], channel)

    months = (day - trait["arrives"]) / 30
    amount = (
        CATALOGUE["amount"].to_numpy()[category]
        * trait["level"]
        * np.exp(trait["trend"] * months)
        * rng.lognormal(0, 0.6, n)
    )
    amount = np.maximum(np.round(amount / 50), 1) * 50
    charge = np.where(rng.random(n) < 0.2, rng.uniform(0, 0.03, n), 0)
    unusual = np.minimum(amount / 1_000_000, 1) + 0.2 * (hours < 6)
    return pd.DataFrame(
        {
            "customer": who,
            "time": (day * DAY + hours * 3600).astype(np.int64),
            "batch": rng.permutation(n) + 1,
            "account": trait["account"],
            "subscription": trait["subscription"],
            "category": category,
            "product": (rng.random(n) ** 2 * CATALOGUE["products"].to_numpy()[category]).astype(
                int
            ),
            "channel": channel,
            "amount": amount,
            "value": np.ceil(amount * (1 + charge)).astype(np.int64),
            "pricing": rng.choice([0, 1, 2, 4], size=n, p=[0.01, 0.02, 0.83, 0.14]),
            "fraud": (rng.random(n) < 0.001 + 0.02 * unusual).astype(np.int64),
        }
    )


def _hour_quantiles() -> tuple[np.ndarray, np.ndarray]:
    """Shares of the day's purchases made by each hour, and those hours."""
    shares = np.cumsum([0, *HOUR_WEIGHT]) / np.sum(HOUR_WEIGHT)
    return shares, np.arange(6, 25, dtype=float)


def _make_refunds(
    rng: np.random.Generator, customers: pd.DataFrame, purchases: pd.DataFrame, days: int
) -> pd.DataFrame:
    """Refunds in full or in part, days after some of the purchases and in their batch."""
    chance = customers["refund"].to_numpy()[purchases["customer"]]
    refunds = purchases[rng.random(len(purchases)) < chance].copy()
    n = len(refunds)
    part = np.where(rng.random(n) < 0.7, 1.0, rng.uniform(0.1, 1.0, n))
    refunds["time"] += (60 + rng.exponential(3 * DAY, n)).astype(np.int64)
    refunds["amount"] = -np.maximum(np.floor(refunds["amount"] * part), 1)
    refunds["value"] = -refunds["amount"].astype(np.int64)
    refunds["fraud"] = 0
    return refunds[refunds["time"] < days * DAY]


def _write_log(
    rng: np.random.Generator, rows: pd.DataFrame, n_customers: int, first_day: np.datetime64
) -> pd.DataFrame:
    """Rows of numbers as the log of a bank, with ids and times as text."""
    n = len(rows)
    category = rows["category"].to_numpy()
    first_product = np.cumsum(CATALOGUE["products"].to_numpy()) - CATALOGUE["products"].to_numpy()
    product = first_product[category] + rows["product"].to_numpy() + 1
    seconds = first_day.astype("datetime64[s]") + rows["time"].to_numpy()
    columns = {
        "TransactionId": _ids("TransactionId", rng.permutation(n) + 1),
        "BatchId": _ids("BatchId", rows["batch"]),
        "AccountId": _ids("AccountId", rows["account"]),
        "SubscriptionId": _ids("SubscriptionId", rows["subscription"]),
        "CustomerId": _ids("CustomerId", rows["customer"] + 1),
        "CurrencyCode": _texts(["UGX"], np.zeros(n, dtype=int)),
        "CountryCode": np.full(n, 256),
        "ProviderId": _ids("ProviderId", product % 6 + 1),
        "ProductId": _ids("ProductId", product),
        "ProductCategory": _texts(CATALOGUE["category"].tolist(), category),
        "ChannelId": _texts(CHANNELS, rows["channel"]),
        "Amount": rows["amount"].to_numpy(),
        "Value": rows["value"].to_numpy(),
        "TransactionStartTime": pc.strftime(pa.array(seconds), format="%Y-%m-%dT%H:%M:%SZ"),
        "PricingStrategy": rows["pricing"].to_numpy(),
        "FraudResult": rows["fraud"].to_numpy(),
    }
    return pa.table(columns).to_pandas()


def _ids(kind: str, numbers: np.ndarray | pd.Series) -> pa.Array:
    """Ids such as `CustomerId_4406`."""
    digits = pa.array(np.asarray(numbers)).cast(pa.large_string())
    return pc.binary_join_element_wise(
        pa.scalar(kind, pa.large_string()), digits, pa.scalar("_", pa.large_string())
    )


def _texts(texts: list[str], codes: np.ndarray | pd.Series) -> pa.Array:
    return pa.array(texts, pa.large_string()).take(pa.array(np.asarray(codes)))


def _check(
    n_customers: object, start: object, days: object, risk_effect: object, default_rate: object
) -> np.datetime64:
    """Refuse what no log can be made from; the first day otherwise."""
    _check_count("n_customers", n_customers, 1, None)
    _check_count("days", days, 1, 3_650)
    _check_number("risk_effect", risk_effect, "from 0 to 5", lambda x: 0 <= x <= 5)
    _check_number("default_rate", default_rate, "above 0 and below 1", lambda x: 0 < x < 1)
    if not isinstance(start, str | date | np.datetime64):
        raise TypeError(f"start must be a day such as '2018-11-15'; got {start!r}.")
    try:
        first = pd.Timestamp(start)
    except ValueError as error:
        raise ValueError(f"start must be a day such as '2018-11-15'; got {start!r}.") from error
    if pd.isna(first) or first.tz is not None or first != first.normalize():
        raise ValueError(f"start must be a day without a time or a zone; got {start!r}.")
    return np.datetime64(first.date(), "D")


def _check_count(name: str, value: object, low: int, high: int | None) -> None:
    allowed = f"an integer of {low} or more" if high is None else f"an integer from {low} to {high}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be {allowed}; got {value!r}.")
    if int(value) < low or (high is not None and int(value) > high):
        raise ValueError(f"{name} must be {allowed}; got {value!r}.")


def _check_number(name: str, value: object, allowed: str, holds: Callable[[float], bool]) -> None:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number {allowed}; got {value!r}.")
    if not holds(float(value)):
        raise ValueError(f"{name} must be a number {allowed}; got {value!r}.")


def _generator(random_state: object) -> np.random.Generator:
    if random_state is None or isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state)
    if isinstance(random_state, bool | np.bool_) or not isinstance(random_state, Integral):
        raise TypeError(
            "random_state must be a non-negative integer, a numpy.random.Generator or None; "
            f"got {random_state!r}."
        )
    if int(random_state) < 0:
        raise ValueError(f"random_state must not be negative; got {random_state!r}.")
    return np.random.default_rng(int(random_state))
