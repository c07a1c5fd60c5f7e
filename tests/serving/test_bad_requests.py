"""Every bad body is refused with a problem that names the field and what is allowed."""

import copy
import json

import pytest
from litestar.testing import TestClient

from rfmrisk.serving import Settings, create_app, problems

from .conftest import small_body

JSON = {"content-type": "application/json"}
SECRET = "very-private-value"  # noqa: S105 - stands for what a customer would not see in a log


def changed(path: list, value) -> bytes:
    """Return the small request with one value replaced, or removed where it is ``...``."""
    body = json.loads(small_body())
    place = body
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(body).encode()


FIRST = ["customers", 0, "transactions", 0]

FIELDS = {
    "amount as text": (changed([*FIRST, "amount"], SECRET), "customers[0].transactions[0].amount"),
    "amount null": (changed([*FIRST, "amount"], None), "customers[0].transactions[0].amount"),
    "amount huge": (changed([*FIRST, "amount"], 1e300), "customers[0].transactions[0].amount"),
    "amount true": (changed([*FIRST, "amount"], True), "customers[0].transactions[0].amount"),
    "no amount": (changed([*FIRST, "amount"], ...), "customers[0].transactions[0].amount"),
    "time a number": (changed([*FIRST, "time"], 5), "customers[0].transactions[0].time"),
    "time unreadable": (changed([*FIRST, "time"], SECRET), "customers[0].transactions[0].time"),
    "time now": (changed([*FIRST, "time"], "now"), "customers[0].transactions[0].time"),
    "time far": (
        changed([*FIRST, "time"], "0019-01-01T00:00:00Z"),
        "customers[0].transactions[0].time",
    ),
    "time without zone": (
        changed([*FIRST, "time"], "2019-01-01T10:00:00"),
        "customers[0].transactions[1].time",
    ),
    "times out of order": (
        changed([*FIRST, "time"], "2019-01-03T10:00:00Z"),
        "customers[0].transactions[1].time",
    ),
    "future of as_of": (
        changed(["customers", 0, "as_of"], "2019-01-10T10:00:00Z"),
        "customers[0].transactions[9].time",
    ),
    "as_of without zone": (
        changed(["customers", 0, "as_of"], "2019-02-01T00:00:00"),
        "customers[0].as_of",
    ),
    "as_of unreadable": (changed(["customers", 0, "as_of"], SECRET), "customers[0].as_of"),
    "level a list": (changed([*FIRST, "ProductId"], [1]), "customers[0].transactions[0].ProductId"),
    "level mixed": (changed([*FIRST, "ProductId"], 5), "customers[0].transactions[1].ProductId"),
    "level beyond 64 bits": (
        changed([*FIRST, "ProductId"], 2**80),
        "customers[0].transactions[0].ProductId",
    ),
    "level missing": (
        changed([*FIRST, "ProductId"], ...),
        "customers[0].transactions[0].ProductId",
    ),
    "unknown field": (changed(["customers", 0, "custmer"], 1), "customers[0].custmer"),
    "no id": (changed(["customers", 0, "customer_id"], ...), "customers[0].customer_id"),
    "id a number with a point": (
        changed(["customers", 0, "customer_id"], 1.5),
        "customers[0].customer_id",
    ),
    "no customers": (b'{"customers": []}', "customers"),
    "customers missing": (b"{}", "customers"),
    "customers an object": (b'{"customers": {}}', "customers"),
    "newcomer without as_of": (
        b'{"customers": [{"customer_id": 1, "transactions": []}]}',
        "customers[0].as_of",
    ),
}


@pytest.mark.parametrize(("body", "field"), FIELDS.values(), ids=FIELDS)
def test_a_bad_field_is_named(client, body, field):
    """The problem names the field and what is allowed, and repeats no value."""
    answer = client.post("/predict", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errors"][0]["field"] == field
    assert field in problem["detail"]
    assert SECRET not in answer.text
    assert "2019-" not in answer.text
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_zones_are_all_or_none(client):
    """A moment of decision has a zone where the times have one; a date alone goes with both."""
    body = json.loads(small_body())
    customer = body["customers"][0]
    naive = customer | {
        "transactions": [
            transaction | {"time": transaction["time"].rstrip("Z")}
            for transaction in customer["transactions"]
        ]
    }
    answers = {}
    for name, each in (("zoned", customer), ("naive", naive)):
        for as_of in ("2019-02-01T00:00:00Z", "2019-02-01T00:00:00", "2019-02-01"):
            sent = {"customers": [each | {"as_of": as_of}]}
            answers[name, as_of[10:]] = client.post("/predict", json=sent)
    good = {"probability": set(), "as_of": set()}
    for (name, ending), answer in answers.items():
        if (name, ending) in (("zoned", "T00:00:00"), ("naive", "T00:00:00Z")):
            assert answer.status_code == 422
            verb = "must have a zone" if name == "zoned" else "must have no zone"
            assert answer.json()["errors"][0]["allowed"].startswith(verb)
        else:
            for field, values in good.items():
                values.add(answer.json()["customers"][0][field])
    assert good["as_of"] == {"2019-02-01T00:00:00Z"}
    assert len(good["probability"]) == 1


def test_as_of_may_be_left_out_for_some(client):
    """Customers without a moment of decision have that of the request beside those with one."""
    customer = json.loads(small_body())["customers"][0]
    body = {"customers": [customer, customer | {"as_of": "2019-02-01T00:00:00Z"}]}
    told = client.post("/predict", json=body).json()["customers"]
    assert [each["as_of"] for each in told] == ["2019-01-11T00:00:00Z", "2019-02-01T00:00:00Z"]


NO_JSON = {
    "empty": b"",
    "cut off": small_body()[:-20],
    "nan": small_body().replace(b"100.0", b"nan", 1),
    "half of NaN": small_body().replace(b"100.0", b"Na", 1),
    "bad UTF-8 in a level": small_body().replace(b"airtime", b"air\xfftime", 1),
    "bad UTF-8 in what is ignored": small_body().replace(b'"amount"', b'"x": "\xff", "amount"', 1),
    "half a surrogate": small_body().replace(b"airtime", b"\\ud800", 1),
    "nested deeply": b'{"customers": [{"customer_id": 1, "transactions": [{"x": ' + b"[" * 200_000,
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_what_is_not_json_is_refused(client, body):
    """A body that is not JSON in UTF-8 is a bad request that says so."""
    answer = client.post("/predict", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("the body is not JSON in UTF-8")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize("further", [b"", b' "\\"}{[:,": [[{}, {"x": 1}], 5],'])
def test_a_number_that_is_not_finite_is_named(client, number, further):
    """NaN and infinity, which are no JSON, are told by the field that holds them."""
    body = small_body().replace(b"400.0", number.encode()).replace(b'"time"', further + b'"time"')
    answer = client.post("/predict", content=body, headers=JSON)
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["field"] == "customers[0].transactions[3].amount"
    assert error["allowed"].startswith("must be finite: no NaN, no infinity")


def test_a_feature_that_is_not_finite_is_named(client):
    """The same holds for features."""
    body = b'{"customers": [{"customer_id": "a", "features": {"rfm__recency": Infinity}}]}'
    answer = client.post("/predict/features", content=body, headers=JSON)
    assert answer.json()["errors"][0]["field"] == "customers[0].features.rfm__recency"


def test_a_number_in_what_is_ignored_is_named_as_well(client):
    """A field that the model does not use is part of the JSON, however deep it lies."""
    deep = b"[" * 500 + b"NaN" + b"]" * 500
    for nested, field in ((b"[[0, NaN]]", "x[0][1]"), (deep, "x" + "[0]" * 5 + "...")):
        body = small_body().replace(b'"time"', b'"x": ' + nested + b', "time"', 1)
        answer = client.post("/predict", content=body, headers=JSON)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == f"customers[0].transactions[0].{field}"


def test_a_number_late_in_a_large_body_is_told_by_its_byte(client, monkeypatch):
    """To name a field far into a body would take long: its place in bytes is told."""
    monkeypatch.setattr(problems, "_MOST_BYTES", 100)
    body = small_body().replace(b"400.0", b"NaN")
    answer = client.post("/predict", content=body, headers=JSON)
    assert answer.json()["errors"][0]["field"] == f"the number at byte {body.index(b'NaN')}"


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        ("text/plain", None),
        ("", None),
        ("application/json; charset=latin-1", None),
        ("application/json", "gzip"),
    ],
)
def test_other_media_types_are_refused(client, kind, encoding):
    """Only JSON in UTF-8 is taken, as it is."""
    headers = {"content-type": kind} | ({"content-encoding": encoding} if encoding else {})
    answer = client.post("/predict", content=small_body(), headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


def test_limits_are_told(card):
    """Too many customers, transactions or bytes are refused with the limit."""
    limits = Settings(max_customers=2, max_transactions=15, max_body=5_000)
    one = json.loads(small_body())["customers"][0]
    short = one | {"transactions": one["transactions"][:1]}
    with TestClient(create_app(card, limits)) as client:
        for customers, told in (
            ([short] * 3, "customers may be at most 2"),
            ([one] * 2, "transactions may be at most 15"),
            ([one] * 9, "at most 5,000 bytes"),
        ):
            answer = client.post("/predict", json={"customers": customers})
            assert answer.status_code == 413
            assert told in answer.json()["detail"]

        def chunks():
            yield b" " * 4_000
            yield b" " * 4_000

        answer = client.post("/predict", content=chunks(), headers=JSON)
        assert answer.status_code == 413


def test_unused_columns_are_ignored(client):
    """Further columns that the model does not use may hold anything."""
    body = json.loads(small_body())
    plain = client.post("/predict", json=body).json()
    more = copy.deepcopy(body)
    for transaction in more["customers"][0]["transactions"]:
        transaction |= {"BatchId": None, "nested": {"a": [1]}}
    assert client.post("/predict", json=more).json() == plain


def test_other_paths_and_methods_are_problems(client):
    """A wrong path or method is a problem too, with the security headers of all answers."""
    for answer, status in ((client.get("/nope"), 404), (client.put("/predict"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "POST" in client.put("/predict").headers["allow"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PUT", "/predict", {"POST"}), ("DELETE", "/health", {"GET", "HEAD"})],
)
def test_a_wrong_method_is_told_the_right_ones(client, method, path, allowed):
    """The header Allow and the words of the problem name the same methods."""
    answer = client.request(method, path)
    assert answer.status_code == 405
    named = {name.strip() for name in answer.headers["allow"].split(",")}
    assert named - {"OPTIONS"} == allowed
    assert answer.headers["allow"] in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/metrics", "/pages/page.css"])
def test_head_is_get_without_the_body(client, path):
    """Whoever asks for the head alone has the status and the headers of GET."""
    got, head = client.get(path), client.head(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    assert client.head("/predict").status_code == 405


def test_no_charset_is_told_twice(client):
    """Text has one charset."""
    for path in ("/", "/docs", "/pages/page.js", "/pages/page.css", "/metrics"):
        assert client.get(path).headers["content-type"].count("charset") == 1
    sample = client.get("/pages/sample.csv")
    assert sample.headers["content-type"] == "text/csv; charset=utf-8"
    scored = client.post(
        "/score-file", content=sample.content, headers={"content-type": "text/csv"}
    )
    assert scored.headers["content-type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (True, "must be a number or null; got true or false"),
        ([1], "must be a number or null; got a list"),
        ({}, "must be a number or null; got an object"),
        (1e16, "must be from -1e+15 to 1e+15"),
        (10**400, "must be finite"),
        ("late", "must be a number or null"),
    ],
)
def test_a_bad_feature_is_named(client, value, allowed):
    """A feature of a wrong type or range is told by name, whether it is used or not."""
    features = dict.fromkeys(client.get("/model").json()["used_features"])
    first = {"customer_id": "a", "features": features}
    name = next(name for name in features if name.startswith("rfm"))
    second = {"customer_id": "b", "features": features | {name: value}}
    answer = client.post("/predict/features", json={"customers": [first, second]})
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["field"] == f"customers[1].features.{name}"
    assert error["allowed"].startswith(allowed)


def test_an_empty_list_is_told_alike(client):
    """Both kinds of request say in the same words that there must be a customer."""
    told = [
        client.post(path, json={"customers": []}).json()["detail"]
        for path in ("/predict", "/predict/features")
    ]
    assert told == ["customers must be a list of at least one customer"] * 2


def test_a_body_of_unknown_length_is_large_when_it_is(card):
    """A small body in chunks takes no place among the large ones, and a large one does."""
    limits = Settings(max_large=0)

    def chunks(body):
        yield body[:100]
        yield body[100:]

    with TestClient(create_app(card, limits)) as client:
        small = small_body()
        assert client.post("/predict", content=chunks(small), headers=JSON).status_code == 200
        large = small + b" " * 300_000
        assert client.post("/predict", content=chunks(large), headers=JSON).status_code == 503
        assert client.post("/predict", content=large, headers=JSON).status_code == 503


def test_a_fault_of_the_app_tells_nothing(card, monkeypatch, caplog):
    """An unexpected error is a 500 without its message, in the answer and in the log."""
    with TestClient(create_app(card, Settings())) as client:

        def fail(*_):
            raise RuntimeError(SECRET)

        scorer = client.app.service.champion().scorer
        monkeypatch.setattr(type(scorer), "score", fail)
        answer = client.post("/predict", content=small_body(), headers=JSON)
    assert answer.status_code == 500
    assert SECRET not in answer.text + caplog.text
    assert answer.json()["request_id"] in caplog.text
    assert "RuntimeError at" in caplog.text
