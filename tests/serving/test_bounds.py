"""What a client can make the app do is bounded: in bytes, in rows, in columns and in time."""

import gc
import http.client
import io
import json
import socket
import threading
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from litestar.testing import TestClient
from pyarrow import csv as pa_csv
from pyarrow import parquet

from rfmrisk.datasets import make_transactions
from rfmrisk.serving import Settings, create_app
from rfmrisk.serving.service import Service

from .conftest import running, said, small_body

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
PARQUET = {"content-type": "application/vnd.apache.parquet"}


@pytest.fixture(scope="module")
def log():
    return make_transactions(30, random_state=5)


def written(columns, **options) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def repeated(log, n_rows, **columns):
    """Give the columns of a log again and again."""
    rows = np.arange(n_rows) % len(log)
    table = {name: pa.array(column).take(pa.array(rows)) for name, column in log.items()}
    return table | columns


def test_a_file_that_unpacks_to_more_is_refused_unread(card, log):
    """A few kilobytes that hold gigabytes of one text: 413, and nothing is unpacked."""
    settings = Settings(max_body=10_000_000)
    text = "x" * 1_000_000
    bomb = repeated(log, 60, CustomerId=pa.array([f"{n}{text}" for n in range(60)]))
    body = written(bomb, compression="zstd", use_dictionary=False)
    assert len(body) < 100_000
    with TestClient(create_app(card, settings)) as client:
        before = pa.total_allocated_bytes()
        answer = client.post("/score-file", content=body, headers=PARQUET)
        assert pa.total_allocated_bytes() - before < 10_000_000
    assert answer.status_code == 413, answer.text
    assert "unpack to at most 20,000,000 bytes" in answer.json()["detail"]


def test_one_long_text_of_many_rows_is_refused(card, log):
    """A dictionary holds it once, and all that look at it would each have their own."""
    body = written(repeated(log, 500, CustomerId=pa.array(["x" * 1_000_000] * 500)))
    with TestClient(create_app(card, Settings(max_body=10_000_000))) as client:
        answer = client.post("/score-file", content=body, headers=PARQUET)
    assert answer.status_code == 413, answer.text


def test_texts_that_repeat_their_beginnings_are_refused(client, log):
    """An encoding that makes a long text of a few bytes is not read."""
    texts = pa.array([f"{'x' * 10_000}{n}" for n in range(500)])
    encoding = {"CustomerId": "DELTA_BYTE_ARRAY"}
    body = written(
        repeated(log, 500, CustomerId=texts), use_dictionary=False, column_encoding=encoding
    )
    assert client.post("/score-file", content=body, headers=PARQUET).status_code == 422


def with_rows_in_the_footer(body: bytes, real: int, claimed: int) -> bytes:
    """Change what the footer of a file says of its rows, where the numbers have as many bytes."""

    def varint(number):
        number, out = number * 2, b""
        while number > 127:
            out, number = out + bytes([number & 127 | 128]), number >> 7
        return out + bytes([number])

    was, now = varint(real), varint(claimed)
    assert len(was) == len(now)
    size = int.from_bytes(body[-8:-4], "little")
    footer = body[-8 - size : -8].replace(b"\x16" + was, b"\x16" + now)
    return body[: -8 - size] + footer + body[-8:]


@pytest.mark.parametrize(("rows", "claimed"), [(2_000, 90), (2_000, 8_000), (60, 50), (60, 63)])
def test_rows_are_counted_as_they_are_read(card, log, rows, claimed):
    """A footer that says fewer or more than there are is no way past a limit, and no fault."""
    body = with_rows_in_the_footer(written(repeated(log, rows)), rows, claimed)
    with TestClient(create_app(card, Settings(max_transactions=1_000))) as client:
        answer = client.post("/score-file", content=body, headers=PARQUET)
    assert answer.status_code in (413, 422), answer.text


def test_lists_are_no_columns_of_a_log(client, log):
    """They are refused before they are read."""
    body = written(repeated(log, 50, Amount=pa.array([[1.0] * 1_000] * 50)))
    answer = client.post("/score-file", content=body, headers=PARQUET)
    assert answer.status_code == 422
    assert "no lists" in answer.json()["detail"]


@pytest.mark.parametrize("n", [1_001, 50_000])
def test_columns_are_bounded_and_found_in_linear_time(client, log, n):
    """Fifty thousand of them are refused at once."""
    names = ",".join([*log.columns, *(f"c{number}" for number in range(n))])
    began = time.process_time()
    answer = client.post("/score-file", content=f"{names}\n{'1,' * n}1\n".encode(), headers=CSV)
    assert answer.status_code == 413, answer.text
    assert time.process_time() - began < 20  # it was 15 to 25 for each check
    body = written(repeated(log, 5) | {f"c{number}": pa.array([1] * 5) for number in range(1_001)})
    assert client.post("/score-file", content=body, headers=PARQUET).status_code == 413


def test_one_head_is_bounded(folder):
    """A header without end, or very many of them: 431, as a problem, and the connection closes."""
    with running(folder) as (address, process):
        port = int(address.rpartition(":")[2])
        start = b"GET /health HTTP/1.1\r\nHost: x\r\n"
        for rest in (
            b"X-A: " + b"a" * 3_000_000,
            b"".join(b"A%d: b\r\n" % n for n in range(9_000)),
        ):
            answer = exchange(port, start + rest)
            assert answer.startswith(b"HTTP/1.1 431 "), answer[:100]
            assert b"application/problem+json" in answer
        for broken in (b"NONSENSE\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00"):
            answer = exchange(port, broken)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 400
            assert b"nosniff" in answer
        assert not [line for line in said(process) if "Traceback" in line]


def exchange(port, data) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        answer = b""
        with suppress(OSError):
            connection.sendall(data)
        with suppress(OSError):
            while part := connection.recv(65_536):
                answer += part
        return answer


@pytest.mark.slow
def test_a_large_request_that_arrives_at_once_is_answered(folder):
    """The bytes of a body count for no head, on a kept connection too."""
    body = small_body() + b" " * 150_000
    with running(folder) as (address, _):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
        for _ in range(20):
            connection.request("POST", "/predict", body, JSON)
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
        connection.close()


@pytest.mark.slow
def test_a_head_that_does_not_come_is_not_waited_for(folder):
    """Half-sent requests end after a time, and the app answers meanwhile."""
    with running(folder, RFMRISK_HEAD_SECONDS="1") as (address, _):
        port = int(address.rpartition(":")[2])
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        for connection in held:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert asked(port, "/health") == 200
        time.sleep(2)
        for connection in held:
            connection.settimeout(5)
            assert connection.recv(100).startswith(b"HTTP/1.1 408")
            connection.close()


@pytest.mark.slow
def test_connections_that_wait_make_room_for_others(folder, monkeypatch):
    """With more than there may be, the one goes that has waited longest without a request."""
    with running(folder, RFMRISK_HEAD_SECONDS="600") as (address, _):
        port = int(address.rpartition(":")[2])
        held = []
        try:
            for _ in range(1_010):
                held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
                held[-1].sendall(b"GET / HTTP/1.1\r\n")
        except OSError:
            pytest.skip("so many connections are not allowed here")
        try:
            assert asked(port, "/health") == 200
        finally:
            for connection in held:
                connection.close()


@pytest.mark.slow
def test_who_does_not_read_is_let_go_and_locks_nobody_out(folder):
    """Pages hold no place at all, and answers hold theirs for a time."""
    settings = {"RFMRISK_ANSWER_SECONDS": "2", "RFMRISK_MAX_WAITING": "20"}
    with running(folder, **settings) as (address, _):
        port = int(address.rpartition(":")[2])
        page = b"GET /pages/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
        held = [unread(port, page) for _ in range(60)]
        assert asked(port, "/model") == 200
        log = make_transactions(3_000, random_state=1).to_csv(index=False).encode()
        head = f"POST /score-file HTTP/1.1\r\nHost: x\r\nContent-Length: {len(log)}\r\n"
        head += "Accept: application/json\r\nContent-Type: text/csv\r\n\r\n"
        held += [unread(port, head.encode() + log) for _ in range(4)]
        time.sleep(6)
        assert asked(port, "/model") == 200
        body = small_body()
        assert asked(port, "/predict", body) == 200
        for connection in held:
            connection.close()


def unread(port, request):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(request)
    return connection


def asked(port, path, body=None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST" if body else "GET", path, body, JSON)
        return connection.getresponse().status
    finally:
        connection.close()


def test_keys_that_are_no_features_are_not_kept(card):
    """Nine million of them are refused at the first, in a moment."""
    keys = ",".join(f'"k{n}":1' for n in range(200_000))
    body = f'{{"customers":[{{"customer_id":"a","features":{{{keys}}}}}]}}'.encode()
    with TestClient(create_app(card, Settings())) as client:
        answer = client.post("/predict/features", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "customers[0].features.k0"


def test_limits_hold_while_a_body_is_decoded(card):
    """More objects than there may be are refused before any is made."""
    settings = Settings(max_transactions=10, max_customers=3)
    with TestClient(create_app(card, settings)) as client:
        customer = '{"customer_id":"a","transactions":[%s]}'
        for body in (
            customer % ",".join(["{}"] * 100),
            ",".join([customer % ""] * 4),
        ):
            answer = client.post(
                "/predict", content=f'{{"customers":[{body}]}}'.encode(), headers=JSON
            )
            assert answer.status_code == 413, answer.text
        features = json.dumps(dict.fromkeys(card.scorer.used))
        body = ",".join([f'{{"customer_id":1,"features":{features}}}'] * 4)
        answer = client.post(
            "/predict/features", content=f'{{"customers":[{body}]}}'.encode(), headers=JSON
        )
        assert answer.status_code == 413, answer.text


def test_work_goes_to_a_thread_by_the_customers(trained, monkeypatch):
    """Few bytes of many customers without a transaction hold nobody up."""
    asked = []
    beside = Service.beside

    async def counted(self, function, *arguments):
        asked.append(function.__name__)
        return await beside(self, function, *arguments)

    monkeypatch.setattr(Service, "beside", counted)
    customers = [
        {"customer_id": n, "as_of": "2019-01-01", "transactions": []} for n in range(1_000)
    ]
    model = trained.get("xgboost", trained["scorecard"])
    with TestClient(create_app(model, Settings())) as client:
        assert client.post("/predict", json={"customers": customers}).status_code == 200
        assert asked == ["predict"]
        assert client.post("/predict", json={"customers": customers[:100]}).status_code == 200
        assert asked == ["predict"]


def test_unseen_categories_are_not_kept(card):
    """Texts that no training had are gone with the request that held them."""
    transaction = {"time": "2019-01-01T00:00:00Z", "amount": 5.0}

    def body(number):
        fields = dict.fromkeys(card.scorer.recipe.fields, f"{number}{'y' * 100000}")
        each = [{"customer_id": n, "transactions": [transaction | fields]} for n in range(20)]
        return json.dumps({"customers": each}).encode()

    def kept():
        gc.collect()
        return tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes()

    with TestClient(create_app(card, Settings())) as client:
        tracemalloc.start()
        try:
            for number in range(40):
                answer = client.post("/predict", content=body(number), headers=JSON)
                assert answer.status_code == 200, answer.text
                if number == 4:
                    before = kept()
            assert kept() - before < 1_000_000  # of 35 different texts of 100,000 each
        finally:
            tracemalloc.stop()


@pytest.mark.slow
def test_twenty_hostile_clients_reach_no_ceiling_and_keep_nobody_waiting(folder):
    """Memory stays below the sum of docs/security.md, and a good client is served meanwhile."""
    psutil = pytest.importorskip("psutil")
    limits = Settings(max_body=16_000_000, max_transactions=100_000, max_large=2)
    names = ("max_body", "max_transactions", "max_large")
    given = {f"RFMRISK_{name.upper()}": str(getattr(limits, name)) for name in names}
    given |= {"RFMRISK_BODY_SECONDS": "2", "RFMRISK_ANSWER_SECONDS": "2"}
    ceiling = limits.max_large * (3 * limits.max_body + limits.max_transactions * 600)
    ceiling += limits.max_waiting * 256_000
    requests = hostile_requests()
    stop, served, peak = threading.Event(), [], []
    with running(folder, **given) as (address, process):
        port = int(address.rpartition(":")[2])
        server = psutil.Process(process.pid)
        assert asked(port, "/predict", small_body()) == 200
        before = server.memory_info().rss
        for request in requests[:3]:
            assert exchange(port, request).startswith(b"HTTP/1.1 200 ")

        def hostile(number):
            reads = number % 4 != 3
            while not stop.is_set():
                with (
                    suppress(OSError),
                    socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
                ):
                    connection.sendall(requests[number % len(requests)])
                    while reads and connection.recv(65_536):
                        pass
                    stop.wait(3)

        threads = [threading.Thread(target=hostile, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        try:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                began = time.monotonic()
                assert asked(port, "/predict", small_body()) == 200
                served.append(time.monotonic() - began)
                peak.append(server.memory_info().rss)
                time.sleep(0.05)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
    assert max(peak) - before < ceiling
    assert max(served) < 1


def hostile_requests() -> list[bytes]:
    """Write three large requests that are right, one of which comes twice, and half of one."""
    log = make_transactions(600, random_state=1)
    customer = json.loads(small_body())["customers"][0]
    table = repeated(log, 75_000)
    text = io.BytesIO()
    pa_csv.write_csv(pa.table(table), text)
    json_body = json.dumps({"customers": [customer] * 9_000}).encode()
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for path, kind, body in (
            ("/predict", "application/json", json_body),
            ("/score-file", CSV["content-type"], text.getvalue()),
            ("/score-file", PARQUET["content-type"], written(table)),
        )
    ]
    return [*requests, requests[1], requests[0][: len(requests[0]) // 2]]
