"""Requests that wait at the same time are worked on together.

Hundreds of operations on short arrays cost about the same for one customer as for a hundred. A
batch is some ten milliseconds of work at most, and a request that is alone in the worker waits for
no others.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from rfmrisk.serving.champion import Champion

# So often the loop may turn while further requests arrive; and this many bytes of bodies, or
# customers, take it about ten milliseconds, so they wait for no others.
_TURNS = 6
_FULL = 1_000_000
_FULL_CUSTOMERS = 250


class _Asked(NamedTuple):
    champion: Champion
    body: bytes
    answer: "asyncio.Future[bytes]"


class Batches:
    """Answer each request with those that come to the same champion at the same time.

    Parameters
    ----------
    work : callable
        Takes a champion and a list of bodies; returns an answer, or an error, for each.
    in_flight : callable
        Returns how many requests the worker has.
    """

    def __init__(
        self,
        work: Callable[[Champion, list[bytes]], list[bytes | Exception]],
        in_flight: Callable[[], int],
    ) -> None:
        self._work = work
        self._in_flight = in_flight
        self._waiting: list[_Asked] = []

    async def answer(self, champion: Champion, body: bytes) -> bytes:
        """Return the answer to one request."""
        loop = asyncio.get_running_loop()
        asked = _Asked(champion, body, loop.create_future())
        self._waiting.append(asked)
        if len(self._waiting) == 1:
            loop.call_soon(self._turn, loop, _TURNS)
        try:
            return await asked.answer
        finally:
            del asked  # an error holds this frame, which would hold the error

    def _turn(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """Wait for another turn of the loop, or answer all that wait."""
        full = (
            sum(len(asked.body) for asked in self._waiting) >= _FULL
            or sum(asked.body.count(b"[") for asked in self._waiting) >= _FULL_CUSTOMERS
        )
        if turns and not full and len(self._waiting) < self._in_flight():
            loop.call_soon(self._turn, loop, turns - 1)
            return
        waiting, self._waiting = self._waiting, []
        groups: dict[int, list[_Asked]] = {}  # a champion may have been replaced meanwhile
        for asked in waiting:
            if not asked.answer.done():  # else the client has gone
                groups.setdefault(id(asked.champion), []).append(asked)
        for group in groups.values():
            answers = self._work(group[0].champion, [asked.body for asked in group])
            for asked, answer in zip(group, answers, strict=True):
                if isinstance(answer, Exception):
                    asked.answer.set_exception(answer)
                else:
                    asked.answer.set_result(answer)
