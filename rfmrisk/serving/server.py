"""Run the app as processes: workers that are replaced when they die and drain when told to stop."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import warnings
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

import uvicorn

from rfmrisk.scoring.reasons import PhraseBook
from rfmrisk.serving.app import GRACE, create_app
from rfmrisk.serving.log_config import LOGGING
from rfmrisk.serving.protocol import BoundedProtocol
from rfmrisk.serving.settings import Settings

logger = logging.getLogger(__name__)

_LAST_PORT = 65_535
HUNG = 5  # seconds after which a worker that was told to stop is killed


class DrainingServer(uvicorn.Server):
    """A server that says it is going before it goes.

    Told to stop, it answers requests for a while yet: /ready says 503, so that a load balancer
    looks elsewhere, and every answer closes its connection, so that none is cut between two
    requests. Then it takes no more, and ends when the last is answered.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal, or one before there were requests, ends at once."""
        app: Any = self.config.app
        service = app.service
        if service.guard.draining or not self.started:
            super().handle_exit(sig, frame)
            return
        service.guard.draining = True
        loop, seconds = self._loop, service.settings.drain_seconds
        loop.call_soon_threadsafe(loop.call_later, seconds, super().handle_exit, sig, frame)

    async def startup(self, sockets: Any = None) -> None:
        """Start, and let threads, on which large requests are worked on, give way as often."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        gc.freeze()  # the collector of cycles passes over what stays for good
        sys.setswitchinterval(0.001)


def serve(
    model: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    reasons: str | None = None,
) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    model : str or None, default=None
        Folder of a training, or an MLflow URI; None takes what the environment names.
    host : str, default="127.0.0.1"
        The address to listen on; "0.0.0.0" is all.
    port : int, default=8000
    workers : int, default=1
        Processes; one that dies is replaced, and a ``POST /reload`` to one reaches all of them
        within a second or so.
    reasons : str or None, default=None
        A JSON file with the sentences of the reasons; see `rfmrisk.scoring.PhraseBook`. None
        takes what the environment names, or those of the package.

    Raises
    ------
    FileNotFoundError
        There is no such file of reasons.
    ValueError
        ``workers`` or ``port`` is out of range, or a setting of the environment is wrong.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more; got {workers}")
    if not 0 <= port <= _LAST_PORT:
        raise ValueError(f"port must be from 0 to {_LAST_PORT}; got {port}")
    # Workers are processes of their own and read these there.
    given = {"MODEL_PATH": model, "RFMRISK_REASONS": reasons}
    os.environ |= {name: value for name, value in given.items() if value is not None}
    # What is wrong with the settings is told once, before any worker starts.
    settings = Settings.from_environment()
    PhraseBook.read(settings.reasons)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.create_server((host, port), family=family)
    if workers == 1:
        work(sock)
    else:
        _supervise(sock, workers, settings.drain_seconds + GRACE + HUNG)


def work(sock: socket.socket, reloads: Any = None, seconds: float = 0) -> None:
    """Serve on a socket; of several workers all share ``reloads`` and may end in ``seconds``."""
    # Warnings of reading a log name customers of whoever sent it.
    warnings.simplefilter("ignore", UserWarning)
    app = create_app()
    if reloads is not None:
        app.service.holder.reloads = reloads
        threading.Thread(target=_end_with_supervisor, args=[seconds], daemon=True).start()
    BoundedProtocol.head_seconds = app.service.settings.head_seconds
    BoundedProtocol.answer_seconds = app.service.settings.answer_seconds
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        log_config=LOGGING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        ws="none",
        lifespan="on",
    )
    DrainingServer(config).run(sockets=[sock])


def _supervise(sock: socket.socket, workers: int, seconds: float) -> None:
    """Keep workers running until told to stop, then wait for them, for so many seconds."""
    context = multiprocessing.get_context("spawn")
    stopping = threading.Event()
    # Without a lock, which a worker that is killed would keep: it only matters that it changes.
    reloads = context.RawValue("Q", 0)

    def start() -> BaseProcess:
        process = context.Process(target=work, args=(sock, reloads, seconds))
        process.start()
        return process

    processes = [start() for _ in range(workers)]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    while not stopping.wait(0.5):
        for place, process in enumerate(processes):
            if not process.is_alive():
                logger.warning("worker %s ended with code %s", process.pid, process.exitcode)
                processes[place] = start()
    for process in processes:
        process.terminate()
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(until - time.monotonic(), 0))
        if process.is_alive():
            logger.warning("worker %s did not stop and is killed", process.pid)
            process.kill()
            process.join()


def _end_with_supervisor(seconds: float) -> None:
    """Stop this worker when the supervisor is gone, so that none is left to hold the port."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        logger.warning("the supervisor is gone; worker %s stops", os.getpid())
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(seconds)
        os._exit(1)
