"""Requests that wait at the same time are answered as each would be alone."""

import asyncio
import gc
import json
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmrisk.serving import Settings
from rfmrisk.serving import batches as together
from rfmrisk.serving.batches import Batches
from rfmrisk.serving.champion import Champion
from rfmrisk.serving.problems import Problem
from rfmrisk.serving.service import predict, predict_together

from .conftest import body_of


@pytest.fixture(scope="module", params=["scorecard", "logistic_regression"])
def champion(request, trained):
    return Champion.of(trained[request.param], Settings())


@pytest.fixture(scope="module")
def bodies(champion, many_histories):
    """Write twelve requests of a few customers each, of many kinds."""
    bodies = [body_of(many_histories.iloc[20 * k : 20 * k + 1 + k]) for k in range(12)]
    fields = list(champion.scorer.recipe.fields)

    def each_transaction(k, change):
        for customer in bodies[k]["customers"]:
            for transaction in customer["transactions"]:
                change(transaction)

    def without_zone(k):
        each_transaction(k, lambda row: row.update(time=row["time"].removesuffix("Z")))
        for customer in bodies[k]["customers"]:
            del customer["as_of"]

    for customer in bodies[2]["customers"][1:]:
        del customer["as_of"]  # the midnight after the last transaction of the request
    each_transaction(3, lambda row: row.update(dict.fromkeys(fields)))
    bodies[4]["customers"][2]["transactions"] = []
    without_zone(5)
    without_zone(6)
    each_transaction(7, lambda row: row.update(dict.fromkeys(fields, 3)))
    each_transaction(8, lambda row: row.update(time=row["time"].replace("Z", "+00:00")))
    bodies[9]["customers"][3]["transactions"][0]["amount"] = None
    bodies[10]["customers"] = []
    bodies[11]["customers"][5]["as_of"] = "2001-01-01T00:00:00Z"
    return [json.dumps(body).encode() for body in bodies]


def alone(champion, body):
    """Answer a request by itself: the answer, or what its error says."""
    try:
        return predict(champion, body)
    except Problem as problem:
        return said(problem)


def said(answer):
    return (answer.status, answer.detail, answer.fields) if isinstance(answer, Problem) else answer


def at_once(asked):
    """Answer pairs of champions and bodies that come in one turn of the loop."""

    async def all_of_them():
        batches = Batches(predict_together, lambda: len(asked))
        works = [batches.answer(champion, body) for champion, body in asked]
        return await asyncio.gather(*works, return_exceptions=True)

    return asyncio.run(all_of_them())


@settings(max_examples=50)
@given(chosen=st.lists(st.integers(0, 11), min_size=1, max_size=8))
def test_answers_are_those_of_each_request_alone(champion, bodies, chosen):
    """Whatever waits beside it, a request has the same answer or error, to the last bit."""
    found = at_once([(champion, bodies[k]) for k in chosen])
    assert list(map(said, found)) == [alone(champion, bodies[k]) for k in chosen]


def test_the_kinds_of_requests_are_what_they_are_meant_to_be(champion, bodies):
    """Nine can be answered; what is wrong with the others is named."""
    answers = [alone(champion, body) for body in bodies]
    last = len(json.loads(bodies[11])["customers"][5]["transactions"]) - 1
    assert [list(answer[2]) for answer in answers if isinstance(answer, tuple)] == [
        ["customers[3].transactions[0].amount"],
        ["customers"],
        [f"customers[5].transactions[{last}].time"],
    ]


@pytest.fixture
def sizes(champion, monkeypatch):
    """Give the numbers of customers whose features were computed at once."""
    sizes, compute = [], champion.scorer.recipe.compute

    def counted(flat):
        sizes.append(len(flat.as_of))
        return compute(flat)

    monkeypatch.setattr(champion.scorer.recipe, "compute", counted)
    return sizes


def test_features_are_computed_once_for_all_that_wait(champion, bodies, sizes):
    """Requests at once cost one computation, and one that is bad costs the others nothing."""
    at_once([(champion, bodies[k]) for k in (0, 1, 10, 3, 2)])
    assert sizes == [1 + 2 + 4 + 3]


@pytest.mark.parametrize("other", [5, 7])
def test_what_does_not_go_together_is_computed_by_itself(champion, bodies, sizes, other):
    """Times with a zone and without, or levels of text and of numbers, are not mixed."""
    at_once([(champion, bodies[k]) for k in (0, other, 1)])
    assert sizes == [1, other + 1, 2]


def test_a_request_waits_for_those_that_are_about_to_come(champion, bodies, sizes):
    """What is in flight and comes within a few turns of the loop joins; nobody waits longer."""

    async def later(batches, body, turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        await batches.answer(champion, body)

    async def two(turns):
        batches = Batches(predict_together, lambda: 2)
        await asyncio.gather(later(batches, bodies[0], 0), later(batches, bodies[1], turns))

    asyncio.run(two(turns=3))
    asyncio.run(two(turns=20))
    assert sizes == [1 + 2, 1, 2]


def test_a_full_batch_waits_for_no_others(champion, bodies, sizes, monkeypatch):
    """Many bytes are worked on at once, so that the loop is not held for long."""
    monkeypatch.setattr(together, "_FULL", 1)

    async def two():
        batches = Batches(predict_together, lambda: 2)
        first = asyncio.ensure_future(batches.answer(champion, bodies[0]))
        for _ in range(2):
            await asyncio.sleep(0)
        await batches.answer(champion, bodies[1])
        await first

    asyncio.run(two())
    assert sizes == [1, 2]


def test_each_request_is_answered_by_the_champion_it_came_to(champion, trained, bodies):
    """A champion that is replaced amid a batch still answers what came to it."""
    other = Champion.of(trained["decision_tree"], Settings())
    found = at_once([(champion, bodies[1]), (other, bodies[1])])
    assert found == [predict(champion, bodies[1]), predict(other, bodies[1])]
    assert found[0] != found[1]


def test_a_fault_of_one_request_is_not_that_of_the_others(champion, bodies, monkeypatch):
    """Where the features of one cannot be computed, it alone fails."""
    compute = champion.scorer.recipe.compute
    wrong = champion.reader.read(bodies[4])[1].times[0]

    def failing(flat):
        if wrong in flat.times:
            raise ZeroDivisionError
        return compute(flat)

    expected = [predict(champion, body) for body in (bodies[0], bodies[1])]
    monkeypatch.setattr(champion.scorer.recipe, "compute", failing)
    answers = at_once([(champion, bodies[k]) for k in (0, 4, 1)])
    assert isinstance(answers[1], ZeroDivisionError)
    assert [answers[0], answers[2]] == expected


def test_scores_are_counted_once(champion, bodies):
    """A batch, one that falls apart too, counts each customer that it answers once."""
    before = sum(champion.monitor.scores.counts)
    at_once([(champion, bodies[k]) for k in (0, 5, 10, 1)])
    assert sum(champion.monitor.scores.counts) - before == 1 + 6 + 2


def test_a_client_that_goes_away_leaves_the_others_their_answers(champion, bodies, sizes):
    """A request that is cancelled while it waits is left out."""

    async def one_goes():
        batches = Batches(predict_together, lambda: 2)
        gone = asyncio.ensure_future(batches.answer(champion, bodies[0]))
        stays = asyncio.ensure_future(batches.answer(champion, bodies[1]))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(one_goes()) == predict(champion, bodies[1])
    assert sizes[0] == 2


@pytest.mark.parametrize("bad", [9, 11])
def test_a_bad_request_leaves_nothing_behind(champion, bodies, bad):
    """What holds a refused request goes with its answer, and waits for no collector of cycles."""

    async def refused():
        batches = Batches(predict_together, lambda: 1)
        try:
            await batches.answer(champion, bodies[bad])
        except Problem as problem:
            return weakref.ref(problem)

    gc.disable()
    try:
        assert asyncio.run(refused())() is None
    finally:
        gc.enable()
