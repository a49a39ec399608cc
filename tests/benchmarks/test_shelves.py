"""The simulated shops, their past, and how a past becomes what the store holds."""

import random

import pytest

from benchmarks.demo.people import past_of
from benchmarks.exchange.population import Human, Population
from benchmarks.exchange.shelves import Shop, bought_before, favourites, past, session, shops_of, was_there
from bidder.audience.history import unpack_history
from bidder.audience.person import field_name, unpack
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.keys import product_key, segment_key
from bidder.stores.keys import history_key, person_key, person_tag

NOW_S = 1_795_000_000
PEOPLE = Population(1, 400, NOW_S)


@pytest.fixture(scope="module")
def shops() -> tuple[Shop, ...]:
    """The demo's."""
    return shops_of(load_book(demo_book_path()), demo_book_path())


def visitor(shop: Shop) -> Human:
    """Somebody who was there."""
    return next(PEOPLE[n] for n in range(len(PEOPLE)) if was_there(PEOPLE[n], shop))


def test_the_shops_have_what_their_feeds_list(shops: tuple[Shop, ...]) -> None:
    """Some dozens of products each, all in stock."""
    assert {shop.id for shop in shops} == {"fernhill", "solepath", "voltaro"}
    assert all(len(shop.products) > 30 and all(each.available for each in shop.products) for shop in shops)


def test_only_who_agreed_was_there_before(shops: tuple[Shop, ...]) -> None:
    """And of those not everybody; the past is the same whenever it is asked for."""
    humans = [PEOPLE[number] for number in range(len(PEOPLE))]
    there = [human for human in humans if was_there(human, shops[0])]
    assert 50 < len(there) < 200
    assert all(human.agrees for human in there)
    assert {human.agrees for human in humans} == {True, False}
    assert past(there[0], shops[0]) == past(there[0], shops[0])
    assert not bought_before(next(human for human in humans if not human.agrees), shops[0])


def test_a_session_has_a_taste(shops: tuple[Shop, ...]) -> None:
    """It begins with a page; most of what is looked at is of the category that the person likes best."""
    human, shop = visitor(shops[1]), shops[1]
    sessions = [session(random.Random(n), human, shop) for n in range(200)]
    assert all(acts[0].event == "page_view" for acts in sessions)
    assert {act.event for acts in sessions for act in acts} == {
        "page_view", "product_view", "search", "cart", "purchase",
    }  # fmt: skip
    viewed = [act.product for acts in sessions for act in acts if act.event == "product_view"]
    liked = favourites(human, shop)
    assert 0.6 < sum(product in liked for product in viewed) / len(viewed) < 0.95


async def test_a_past_becomes_history_segments_and_taste(shops: tuple[Shop, ...]) -> None:
    """What the store holds is what the service itself makes of such visits, each key with an end."""
    made = await past_of(shops, PEOPLE, NOW_S)
    store, shop, human = made.store, shops[0], visitor(shops[0])
    tag = person_tag(bytes.fromhex(human.id))
    assert human.id in made.ids
    profile = unpack(store.hashes[person_key(tag)][field_name(shop.id)])
    history = unpack_history(store.hashes[history_key(tag)][field_name(shop.id)])
    assert profile is not None
    assert history is not None
    acts = past(human, shop)
    looked_at = [product_key(shop.id, act.product.id) for _, act in acts if act.product]
    assert profile.products[0][0] == looked_at[-1]
    assert {visit.product for visit in history.visits} - {0} == set(looked_at)
    recent = any(act.event == "product_view" and age_s < 13 * 86_400 for age_s, act in acts)
    assert (segment_key(shop.id, "viewers") in dict(profile.segments)) == recent
    assert profile.affinity.any()
    assert store.ttl_s.keys() >= store.hashes.keys()
    assert max(store.ttl_s.values()) <= 30 * 86_400 + 86_400
