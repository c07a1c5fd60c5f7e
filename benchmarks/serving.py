"""Time the scoring app against a plain FastAPI, pandas and scikit-learn endpoint, on one model.

Each serves from one worker process of its own on the loopback; requests are sent over kept
connections, and the CPU seconds are those of the server's process. The plain endpoint does what
is usual: a DataFrame of the JSON, to_histories, and the pipeline's predict_proba.

Run ``python -m benchmarks.serving``. It needs fastapi, uvicorn and psutil.
"""

import http.client
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.training import train

PLAIN = """
import sys
import pandas as pd, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from rfmrisk import to_histories
from rfmrisk.scoring import ScoringModel

model = ScoringModel.load(sys.argv[1])
app = FastAPI()

class Transaction(BaseModel):
    model_config = ConfigDict(extra="allow")
    time: str
    amount: float

class Customer(BaseModel):
    customer_id: str
    transactions: list[Transaction]

class Request(BaseModel):
    customers: list[Customer]

@app.get("/ready")
def ready():
    return {}

@app.post("/predict")
def predict(request: Request):
    log = pd.DataFrame(
        [{"who": c.customer_id, **t.model_dump()} for c in request.customers
         for t in c.transactions]
    )
    histories = to_histories(log, customer="who", time="time", amount="amount")
    probability = model.pipeline.predict_proba(histories)[:, 1]
    return {"customers": [
        {"customer_id": who, "probability": p}
        for who, p in zip(histories.index, probability.tolist())
    ]}

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
"""
OURS = """
import sys
from rfmrisk.serving.server import serve

serve(sys.argv[1], port=int(sys.argv[2]))
"""
JSON = {"Content-Type": "application/json"}


def main() -> None:
    """Print the tables."""
    log = make_transactions(600, random_state=0)
    model = train(to_histories(log), models=["scorecard"], cv=3).model
    fields = ["ProviderId", "ProductId", "ProductCategory", "ChannelId"]
    bodies = {
        "1 x 10": _body(log, fields, 1, 10),
        "100 x 10": _body(log, fields, 100, 10),
    }
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        found: dict[str, dict[str, tuple[float, float]]] = {}
        probabilities = {}
        for name, code in (("plain", PLAIN), ("rfmrisk", OURS)):
            with Server(code, folder) as server:
                found[name] = {what: server.saturate(body) for what, body in bodies.items()}
                answer = json.loads(server.ask()(bodies["100 x 10"]))
                probabilities[name] = {
                    customer["customer_id"]: customer["probability"]
                    for customer in answer["customers"]
                }
                if name == "rfmrisk":
                    half = found[name]["1 x 10"][1] / 2
                    latency = server.pace(bodies["1 x 10"], half)
                    blocked = server.beside(_body(log, fields, 10_000, 50))
        assert probabilities["plain"] == probabilities["rfmrisk"]
    print("same probabilities from both\n")
    print(
        f"{'body':>9} {'app':>8} {'requests/CPU s':>15} {'customers/CPU s':>16} {'requests/s':>11}"
    )
    for what in bodies:
        for name in found:
            per_cpu, rate = found[name][what]
            customers = per_cpu * int(what.split()[0])
            print(f"{what:>9} {name:>8} {per_cpu:15,.0f} {customers:16,.0f} {rate:11,.0f}")
    for what in bodies:
        times = found["rfmrisk"][what][0] / found["plain"][what][0]
        print(f"{what}: {times:.1f} times the requests per CPU second")
    print(f"1 x 10 at half of saturation ({half:.0f}/s): p50 {latency[0]:.1f} ms, ", end="")
    print(f"p99 {latency[1]:.1f} ms")
    print(
        f"10,000 x 50: answered in {blocked[0]:.1f} s; /health meanwhile: median "
        f"{blocked[1]:.1f} ms, longest {blocked[2]:.1f} ms of {blocked[3]} requests"
    )


class Server:
    """One server in a process of its own."""

    def __init__(self, code: str, folder: str) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        command = [sys.executable, "-c", code, folder, str(self.port)]
        self.process = subprocess.Popen(  # noqa: S603 - our own code
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> "Server":
        for _ in range(600):
            try:
                with socket.create_connection(("127.0.0.1", self.port)):
                    break
            except OSError:
                time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def ask(self, path: str = "/predict") -> Callable[..., bytes]:
        """Open a connection; return what sends a body on it and gives the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

        def send(body: bytes | None = None) -> bytes:
            connection.request("POST" if body else "GET", path, body, JSON)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == 200, content[:500]
            return content

        return send

    def saturate(self, body: bytes, seconds: float = 4.0) -> tuple[float, float]:
        """Return requests per CPU second and per second under four busy clients."""
        for _ in range(5):
            self.ask()(body)
        # The bytes are made once, so that the clients take little from the server's processor.
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        request = (head + "Content-Type: application/json\r\n\r\n").encode() + body
        counts: list[int] = []
        until = time.perf_counter() + seconds

        def client() -> None:
            count = 0
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                while time.perf_counter() < until:
                    _exchange(connection, request)
                    count += 1
            counts.append(count)

        before, began = _cpu(self.process.pid), time.perf_counter()
        _together([client] * 4)
        spent = _cpu(self.process.pid) - before
        return sum(counts) / spent, sum(counts) / (time.perf_counter() - began)

    def pace(self, body: bytes, rate: float, seconds: float = 5.0) -> tuple[float, float]:
        """Return the median and 99th percentile in ms, at a steady rate from four clients."""
        latency: list[float] = []

        def client(offset: float) -> None:
            send = self.ask()
            at = time.perf_counter() + offset
            until = at + seconds
            while at < until:
                time.sleep(max(0.0, at - time.perf_counter()))
                began = time.perf_counter()
                send(body)
                latency.append(time.perf_counter() - began)
                at = max(at + 4 / rate, time.perf_counter())

        _together([lambda k=k: client(k / rate) for k in range(4)])
        return tuple(np.percentile(np.array(latency) * 1000, [50, 99]))

    def beside(self, body: bytes) -> tuple[float, float, float, int]:
        """Return how long each of three large requests took, and how long /health did meanwhile."""
        done = threading.Event()
        took: list[float] = []
        waits: list[float] = []

        def large() -> None:
            send = self.ask()
            for _ in range(3):
                began = time.perf_counter()
                send(body)
                took.append(time.perf_counter() - began)
            done.set()

        def health() -> None:
            send = self.ask("/health")
            while not done.wait(0.005):
                began = time.perf_counter()
                send()
                waits.append((time.perf_counter() - began) * 1000)

        _together([large, health])
        return float(np.median(took)), float(np.median(waits)), max(waits), len(waits)


def _exchange(connection: socket.socket, request: bytes) -> None:
    """Send a request and read the answer to its end."""
    connection.sendall(request)
    answer = b""
    while (ends := answer.find(b"\r\n\r\n")) < 0:
        answer += _received(connection)
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:500]
    length = re.search(rb"content-length: (\d+)", answer[:ends], re.IGNORECASE)
    left = ends + 4 + int(length[1]) - len(answer)
    while left:
        left -= len(_received(connection))


def _received(connection: socket.socket) -> bytes:
    part = connection.recv(2**20)
    if not part:
        raise ConnectionError("the server closed the connection")
    return part


def _body(log: Any, fields: list[str], n_customers: int, n_each: int) -> bytes:
    rows = log.sort_values("TransactionStartTime").iloc[-2_000:]
    records = [
        {"time": time_, "amount": amount, **dict(zip(fields, levels, strict=True))}
        for time_, amount, *levels in zip(
            rows["TransactionStartTime"],
            rows["Amount"],
            *(rows[name] for name in fields),
            strict=True,
        )
    ]
    random = np.random.default_rng(0)
    customers = []
    for number in range(n_customers):
        chosen = sorted(random.choice(len(records), n_each, replace=False).tolist())
        transactions = [records[place] for place in chosen]
        customers.append({"customer_id": f"c{number}", "transactions": transactions})
    return json.dumps({"customers": customers}).encode()


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _together(functions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
