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

    Where there are too many connections, the one goes that has waited longest without a request;
    others wait for the time that their head may take.
    """

    head_seconds = 10.0
    answer_seconds = 30.0
    _without_request: dict["BoundedProtocol", None] = {}  # noqa: RUF012 - of all, oldest first

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: TimerHandle | None = None  # of the head
        self._unread: TimerHandle | None = None  # of the answer
        self._in_head, self._n_heads = True, 0
        self._arrived = self._named = 0  # bytes of the head: in pieces, and in whole headers

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            oldest = next(iter(self._without_request), self)
            oldest.transport.abort()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._head_has_come()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes while the head is within its bounds."""
        began_in_head, n_heads = self._in_head, self._n_heads
        if began_in_head and self._timer is None:
            self._wait_for_head()
        super().data_received(data)
        of_head = began_in_head and self._in_head
        if of_head and self._n_heads == n_heads:  # else a whole request has come at once
            self._arrived += len(data)
            if self._arrived > HEAD_BYTES:
                self._refuse(_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._named += len(name) + len(value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin with the request, if its head is not too large."""
        self._head_has_come()
        too_large = self._named + len(self.url) > HEAD_BYTES
        self._in_head, self._arrived, self._named = False, 0, 0
        self._n_heads += 1
        if too_large:
            self._refuse(_LARGE)
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the next bytes for those of another head."""
        self._in_head = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def pause_writing(self) -> None:
        """Let a client go that does not read."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with the answer, which the client reads."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as every other problem."""
        self._refuse(_MALFORMED)

    def _wait_for_head(self) -> None:
        self._without_request[self] = None
        self._timer = self.loop.call_later(self.head_seconds, self._refuse, _SLOW)

    def _head_has_come(self) -> None:
        self._without_request.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy:  # else it would come amid another answer
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
