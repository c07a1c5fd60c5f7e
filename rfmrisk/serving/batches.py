"""Requests that wait at the same time have their features computed together.

Hundreds of operations on short arrays cost about the same for one customer as for a hundred. The
answers do not change: a customer's features depend on the customer's own transactions alone, to
the last bit. What the model makes of them is computed request by request, because a product of
matrices may differ in the last bit with the number of its rows.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from rfmrisk._nested import FlatHistories
from rfmrisk.serving.champion import Champion
from rfmrisk.serving.features import Columns, rows_of
from rfmrisk.serving.scorer import Scores

# So often the loop may turn while further requests arrive; and this many transactions take it
# some milliseconds, so they wait for no others.
_TURNS = 3
_FULL = 10_000


@dataclass
class _Asked:
    champion: Champion
    flat: FlatHistories
    scores: "asyncio.Future[Scores]"


class Batches:
    """Score histories with those of other requests.

    Parameters
    ----------
    in_flight : callable
        Returns how many requests the worker has; one that is alone waits for no others.
    """

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self._in_flight = in_flight
        self._waiting: list[_Asked] = []

    async def score(self, champion: Champion, flat: FlatHistories) -> Scores:
        """Return the scores of the customers of one request."""
        loop = asyncio.get_running_loop()
        asked = _Asked(champion, flat, loop.create_future())
        self._waiting.append(asked)
        if len(self._waiting) == 1:
            loop.call_soon(self._turn, loop, _TURNS)
        return await asked.scores

    def _turn(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """Wait for another turn of the loop, or score all that wait."""
        full = sum(len(asked.flat.times) for asked in self._waiting) >= _FULL
        if turns and not full and len(self._waiting) < self._in_flight():
            loop.call_soon(self._turn, loop, turns - 1)
            return
        waiting, self._waiting = self._waiting, []
        groups: dict[Any, list[_Asked]] = {}
        for asked in waiting:
            # A champion may have been replaced meanwhile, and levels may be text or numbers.
            key = (id(asked.champion), asked.flat.transactions.type)
            groups.setdefault(key, []).append(asked)
        for group in groups.values():
            _score(group)


def _score(group: list[_Asked]) -> None:
    """Compute the features together, and what follows from them for each request."""
    scorer = group[0].champion.scorer
    columns: Columns | None = None
    with suppress(Exception):  # the fault of one is not that of the others: each is tried alone
        columns = scorer.recipe.compute(_joined([asked.flat for asked in group]))
    first = 0
    for asked in group:
        own = slice(first, first := first + len(asked.flat.as_of))
        if asked.scores.done():  # the client has gone
            continue
        try:
            features = rows_of(columns, own) if columns else scorer.recipe.compute(asked.flat)
            asked.scores.set_result(scorer.score_features(features))
        except Exception as error:
            asked.scores.set_exception(error)


def _joined(parts: list[FlatHistories]) -> FlatHistories:
    if len(parts) == 1:
        return parts[0]
    lengths = np.concatenate([part.ends - part.starts for part in parts])
    ends = np.cumsum(lengths)
    return FlatHistories(
        as_of=np.concatenate([part.as_of for part in parts]),
        starts=ends - lengths,
        ends=ends,
        times=np.concatenate([part.times for part in parts]),
        transactions=pa.concat_arrays([part.transactions for part in parts]),
        index=pd.RangeIndex(len(ends)),
    )
