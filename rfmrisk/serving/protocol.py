"""What a connection may do: how large and slow a request's head, how slow its reader may be."""

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from rfmrisk.serving.guard import SECURITY
from rfmrisk.serving.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from asyncio import TimerHandle

HEAD_BYTES = 65_536
CONNECTIONS = 1_000

_MALFORMED = Problem(400, "the request is not HTTP")
_LARGE = Problem(431, f"the head of a request may have at most {HEAD_BYTES:,} bytes")
_SLOW = Problem(408, "the head of a request took too long to arrive")


class BoundedProtocol(HttpToolsProtocol):
    """HTTP whose heads are bounded in bytes and time, and whose answers must be read.

    Where there are too many connections, the one goes that has waited longest for a head; others
    wait for the time that their head may take.
    """

    head_seconds = 10.0
    answer_seconds = 30.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head: TimerHandle | None = None  # until it has come
        self._answer: TimerHandle | None = None  # while it is not read
        self._in_head, self._arrived = True, 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()
        if len(self.connections) > CONNECTIONS:
            every: set[Any] = self.connections
            waiting = [each for each in every if each._head]
            min(waiting, key=lambda each: each._head.when()).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._head_has_come()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes while the head is within its bounds."""
        if self._in_head:
            self._arrived += len(data)
            if self._head is None:
                self._wait_for_head()
        super().data_received(data)
        if self._arrived > HEAD_BYTES:
            self._refuse(_LARGE)

    def on_headers_complete(self) -> None:
        """Begin with the request, if its head is not too large."""
        self._head_has_come()
        self._in_head, self._arrived = False, 0
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_BYTES:
            self._refuse(_LARGE)
            raise ValueError("nothing more is read")  # which the parser takes for its end
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take the next bytes for those of another head."""
        self._in_head = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Let a client go that does not read."""
        super().pause_writing()
        self._answer = self.loop.call_later(self.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with the answer, which the client reads."""
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as every other problem."""
        self._refuse(_MALFORMED)

    def _unsupported_upgrade_warning(self) -> None:
        """Give no advice to install WebSockets, which any client could ask for."""

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(self.head_seconds, self._refuse, _SLOW)

    def _head_has_come(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _refuse(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # else it would come amid another
            body = problem.encode("none")
            headers = [
                *SECURITY,
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            head = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + body)
        self.transport.close()
