"""The app as a process: load, overload, signals, workers, memory."""

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress

import httpx
import pytest

from rfmrisk.cli import main

from .conftest import eventually, free_port, running, said, small_body, started

JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def children(process) -> list[int]:
    """Return the workers of a supervisor."""
    psutil = pytest.importorskip("psutil")
    workers = []
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.NoSuchProcess):  # it may die as we look
            if child.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(child.cmdline()):
                workers.append(child.pid)
    return workers


def test_a_stop_loses_no_request(folder):
    """Under load SIGTERM ends the process with every request answered, in order and whole."""
    lost, answered = [], []

    def ask(host, port):
        while True:
            connection = http.client.HTTPConnection(host, port, timeout=20)
            try:
                connection.connect()
            except OSError:
                return  # it takes no more
            try:
                while True:
                    connection.request("POST", "/predict", small_body(), JSON)
                    answer = connection.getresponse()
                    whole = answer.status == 200 and len(json.loads(answer.read())["customers"])
                    answered.append(whole)
                    if answer.headers["connection"] == "close":
                        return
            except (OSError, http.client.HTTPException) as error:
                lost.append(error)
                return
            finally:
                connection.close()

    with running(folder) as (address, process):
        host, port = address.removeprefix("http://").split(":")
        threads = [threading.Thread(target=ask, args=(host, int(port))) for _ in range(8)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 60
        while len(answered) < 50 and not lost and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(20)
        assert process.wait(20) in (0, -signal.SIGTERM)
    assert not lost
    assert len(answered) >= 50
    assert all(answered)


@pytest.mark.slow
def test_litestar_runs_the_app_of_the_environment(folder):
    """`litestar --app rfmrisk.serving.app:create_app run` serves what MODEL_PATH names."""
    command = [sys.executable, "-m", "litestar", "--app", "rfmrisk.serving.app:create_app", "run"]
    with started(command, MODEL_PATH=str(folder)) as (address, process):
        answer = httpx.post(f"{address}/predict", content=small_body(), headers=JSON, timeout=20)
        assert answer.status_code == 200
        assert answer.json()["model"]["name"] == "scorecard"
        with half_sent(address) as send_rest:
            process.terminate()
            time.sleep(0.5)
            assert send_rest() == 200
        assert process.wait(20) in (0, -signal.SIGTERM)
        lines = said(process)
    logged = [json.loads(line) for line in lines if line.startswith('{"time"')]
    assert [line["status"] for line in logged if line["route"] == "/predict"] == [200, 200]
    assert not any("POST /predict" in line for line in lines)  # uvicorn's own


@contextmanager
def half_sent(address):
    """Send a request but for its end; give what sends the rest and returns the status."""
    host, port = address.removeprefix("http://").split(":")
    body = small_body()
    with closing(http.client.HTTPConnection(host, int(port), timeout=20)) as connection:
        connection.putrequest("POST", "/predict")
        for name, value in (JSON | {"Content-Length": str(len(body))}).items():
            connection.putheader(name, value)
        connection.endheaders(body[:10])
        time.sleep(0.5)

        def send_rest():
            connection.send(body[10:])
            return connection.getresponse().status

        yield send_rest


@pytest.mark.slow
def test_an_upgrade_to_websockets_is_no_news(folder):
    """A client that asks for a WebSocket gets a plain answer, and the log no advice."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    with running(folder) as (address, process):
        for _ in range(3):
            assert httpx.get(f"{address}/health", headers=upgrade).status_code == 200
        process.terminate()
        process.wait(20)
        assert "upgrade" not in "\n".join(said(process)).lower()


@pytest.mark.slow
def test_a_worker_that_dies_comes_back(folder):
    """The supervisor replaces a killed worker, and stops all of them when it is told to."""
    with running(folder, "--workers", "2") as (address, process):
        before = children(process)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        until = time.monotonic() + 20
        while time.monotonic() < until and len(set(children(process)) - set(before)) < 1:
            time.sleep(0.1)
        assert len(set(children(process)) - set(before)) == 1
        assert httpx.get(f"{address}/health", timeout=20).status_code == 200
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("options", "environment", "told"),
    [
        (["--workers", "0"], {}, "workers must be 1 or more; got 0"),
        (["--workers", "-1"], {}, "workers must be 1 or more; got -1"),
        (["--port", "99999"], {}, "port must be from 0 to 65535; got 99999"),
        (
            ["--workers", "2"],
            {"RFMRISK_MAX_CUSTOMERS": "many"},
            "RFMRISK_MAX_CUSTOMERS must be a number from 0; got 'many'",
        ),
        (["--workers", "2"], {"RFMRISK_API_KEYS": "short"}, "RFMRISK_API_KEYS must have 16"),
    ],
)
def test_what_cannot_be_served_is_told_once(options, environment, told, monkeypatch, capsys):
    """A bad option or setting is one message and an end, before any worker starts."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["serve", *options]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert len(said.splitlines()) == 1


def test_overload_is_refused_at_once(folder):
    """More requests than may wait get 503 and when to come again; the others are answered."""
    limit = {"RFMRISK_MAX_WAITING": "4"}
    with running(folder, **limit) as (address, _):
        host, port = address.removeprefix("http://").split(":")
        head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        body = small_body()
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode()
        sockets = [socket.create_connection((host, int(port))) for _ in range(40)]
        for sock in sockets:  # the heads alone: these wait for their bodies
            sock.sendall(request)
        time.sleep(0.5)
        answers = []
        for sock in sockets:
            sock.sendall(body)
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            answers.append((answer.status, answer.headers["retry-after"]))
            sock.close()
    assert {status for status, _ in answers} == {200, 503}
    assert all(wait for status, wait in answers if status == 503)


@pytest.mark.slow
def test_a_slow_body_is_given_up(folder):
    """A client that does not send its body in time is told so."""
    with running(folder, RFMRISK_BODY_SECONDS="0.3") as (address, _):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as sock:
            head = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            sock.sendall(f"{head}Content-Length: 100\r\n\r\n".encode())
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            assert answer.status == 408


@pytest.mark.slow
def test_memory_is_flat_over_many_requests(folder):
    """After 20,000 requests the process is as large as after the first thousands."""
    psutil = pytest.importorskip("psutil")
    with running(folder) as (address, process):
        host, port = address.removeprefix("http://").split(":")

        def ask(times):
            with closing(http.client.HTTPConnection(host, int(port), timeout=60)) as connection:
                for _ in range(times):
                    connection.request("POST", "/predict", small_body(), JSON)
                    assert connection.getresponse().read()

        sizes = []
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for times in (1_000, 4_000):
                list(pool.map(ask, [times] * 4))
                sizes.append(psutil.Process(process.pid).memory_info().rss)
    assert sizes[1] < sizes[0] * 1.1 + 5_000_000


@pytest.mark.slow
def test_workers_end_with_their_supervisor(folder):
    """Killed, it leaves no worker that holds the port."""
    psutil = pytest.importorskip("psutil")
    with running(folder, "--workers", "2", RFMRISK_DRAIN_SECONDS="0") as (address, process):
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        psutil.wait_procs(workers, timeout=60)
        assert not [worker for worker in workers if worker.is_running()]
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{address}/health")


@pytest.mark.slow
def test_a_worker_that_hangs_does_not_keep_the_others(folder):
    """Told to stop, the supervisor kills after a while what does not."""
    psutil = pytest.importorskip("psutil")
    code = (
        "from rfmrisk.serving import server; server.GRACE = server.HUNG = 1\n"
        f"if __name__ == '__main__': server.serve({str(folder)!r}, port={{}}, workers=2)"
    )
    port = free_port()
    command = [sys.executable, "-c", code.format(port)]
    process = subprocess.Popen(command, env=os.environ | {"RFMRISK_DRAIN_SECONDS": "0"})
    try:
        eventually(lambda: ready(f"http://127.0.0.1:{port}"), 180)
        workers = [
            each
            for each in psutil.Process(process.pid).children(recursive=True)
            if "spawn_main" in " ".join(each.cmdline())
        ]
        workers[0].suspend()
        process.terminate()
        assert process.wait(timeout=90) == 0
        assert not [worker for worker in workers if worker.is_running()]
    finally:
        process.kill()
        process.wait()


def ready(address):
    try:
        return httpx.get(f"{address}/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_a_client_that_goes_away_is_no_fault_of_ours(folder):
    """It is counted as such, and not as an answer of 500."""
    with running(folder) as (address, process):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            connection.sendall(head + b"Content-Length: 1000\r\n\r\n{")
            time.sleep(0.3)
        eventually(lambda: 'status="499"' in httpx.get(f"{address}/metrics").text)
        assert 'status="500"' not in httpx.get(f"{address}/metrics").text
        assert not [line for line in said(process) if "failed" in line]
