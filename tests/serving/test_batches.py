"""Requests that wait at the same time are answered as each would be alone."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmrisk.serving import Settings
from rfmrisk.serving import batches as together
from rfmrisk.serving.batches import Batches
from rfmrisk.serving.champion import Champion

from .conftest import body_of


@pytest.fixture(scope="module", params=["scorecard", "logistic_regression"])
def champion(request, trained):
    return Champion.of(trained[request.param], Settings())


@pytest.fixture(scope="module")
def requests(champion, many_histories):
    """Read twelve requests of a few customers each, one of them without any level."""
    bodies = [body_of(many_histories.iloc[20 * k : 20 * k + 1 + k]) for k in range(12)]
    for customer in bodies[3]["customers"]:
        for transaction in customer["transactions"]:
            transaction.update(dict.fromkeys(champion.scorer.recipe.fields))
    return [champion.reader.read(json.dumps(body).encode())[1] for body in bodies]


def at_once(asked):
    """Score pairs of champions and histories that come in one turn of the loop."""

    async def all_of_them():
        batches = Batches(lambda: len(asked))
        works = [batches.score(champion, flat) for champion, flat in asked]
        return await asyncio.gather(*works, return_exceptions=True)

    return asyncio.run(all_of_them())


def plain(scores):
    return [values.tolist() for values in (scores.probability, scores.score)] + [scores.reasons]


@settings(max_examples=30)
@given(chosen=st.lists(st.integers(0, 11), min_size=1, max_size=8))
def test_scores_are_those_of_each_request_alone(champion, requests, chosen):
    """Whatever waits beside it, a request has the same scores and reasons, to the last bit."""
    found = at_once([(champion, requests[k]) for k in chosen])
    alone = [champion.scorer.score(requests[k]) for k in chosen]
    assert list(map(plain, found)) == list(map(plain, alone))


@pytest.fixture
def sizes(champion, monkeypatch):
    """Give the numbers of customers whose features were computed at once."""
    sizes, compute = [], champion.scorer.recipe.compute

    def counted(flat):
        sizes.append(len(flat.as_of))
        return compute(flat)

    monkeypatch.setattr(champion.scorer.recipe, "compute", counted)
    return sizes


def test_features_are_computed_once_for_all_that_wait(champion, requests, sizes):
    """Three requests at once cost one computation; what has other types, one of its own."""
    at_once([(champion, requests[k]) for k in (0, 1, 3, 2)])
    assert sizes == [1 + 2 + 3, 4]


def test_a_request_waits_for_those_that_are_about_to_come(champion, requests, sizes):
    """What is in flight and comes within a few turns of the loop joins; nobody waits longer."""

    async def later(batches, flat, turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        await batches.score(champion, flat)

    async def two(turns):
        batches = Batches(lambda: 2)
        await asyncio.gather(later(batches, requests[0], 0), later(batches, requests[1], turns))

    asyncio.run(two(turns=2))
    asyncio.run(two(turns=20))
    assert sizes == [1 + 2, 1, 2]


def test_a_full_batch_waits_for_no_others(champion, requests, sizes, monkeypatch):
    """Many transactions are worked on at once, so that the loop is not held for long."""
    monkeypatch.setattr(together, "_FULL", 1)

    async def two():
        batches = Batches(lambda: 2)
        first = asyncio.ensure_future(batches.score(champion, requests[0]))
        for _ in range(2):
            await asyncio.sleep(0)
        await batches.score(champion, requests[1])
        await first

    asyncio.run(two())
    assert sizes == [1, 2]


def test_each_request_is_answered_by_the_champion_it_came_to(champion, trained, requests):
    """A champion that is replaced amid a batch still answers what came to it."""
    other = Champion.of(trained["decision_tree"], Settings())
    flat = requests[5]
    first, second = at_once([(champion, flat), (other, flat)])
    assert plain(first) == plain(champion.scorer.score(flat))
    assert plain(second) == plain(other.scorer.score(flat))


def test_a_fault_of_one_request_is_not_that_of_the_others(champion, requests, monkeypatch):
    """Where the features of one cannot be computed, it alone fails."""
    compute, wrong = champion.scorer.recipe.compute, requests[5].times[0]

    def failing(flat):
        if wrong in flat.times:
            raise ZeroDivisionError
        return compute(flat)

    first, last = requests[0], requests[1]
    expected = [plain(champion.scorer.score(flat)) for flat in (first, last)]
    monkeypatch.setattr(champion.scorer.recipe, "compute", failing)
    answers = at_once([(champion, flat) for flat in (first, requests[5], last)])
    assert isinstance(answers[1], ZeroDivisionError)
    assert [plain(answers[0]), plain(answers[2])] == expected


def test_a_client_that_goes_away_leaves_the_others_their_answers(champion, requests):
    """A request that is cancelled while it waits is left out."""

    async def one_goes():
        batches = Batches(lambda: 2)
        gone = asyncio.ensure_future(batches.score(champion, requests[0]))
        stays = asyncio.ensure_future(batches.score(champion, requests[1]))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert plain(asyncio.run(one_goes())) == plain(champion.scorer.score(requests[1]))
