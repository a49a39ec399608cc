"""Clusters of one login: who is in them learns the same, and nothing outlives its bounds."""

from __future__ import annotations

import pytest

from bidder.audience.known import Known
from bidder.audience.person import field_name
from bidder.stores import keys
from bidder.stores.people_writer import MAX_TTL_S
from bidder.stores.visitors import MAX_CLUSTERS, MAX_LOGIN, MAX_MEMBERS, Observed
from tests.bidder.audience.visits import NOW_S
from tests.bidder.stores.visiting import (
    DAY_S,
    KEY,
    ONE,
    SHOP,
    STORE,
    THREE,
    TWO,
    cluster_of,
    counted,
    hash_of,
    history_of,
    seen,
)
from tests.bidder.stores.visitor_stores import Shelf


async def test_members_of_a_cluster_learn_the_same(shelf: Shelf) -> None:
    """Who showed the same login to a shop gets what the others do there; with that shop alone, and from then on."""
    await shelf.store.observe(TWO, SHOP, [seen(1)], NOW_S)
    for person in (ONE, TWO):
        assert await shelf.store.join(person, "shop", "login", NOW_S)
    await shelf.store.observe(TWO, SHOP, [seen(2)], NOW_S)
    await shelf.store.observe(TWO, STORE, [seen(3)], NOW_S)
    await shelf.store.observe(THREE, SHOP, [seen(4)], NOW_S)
    known = await shelf.store.known(ONE, "shop")
    assert [visit.event for visit in known.history.visits] == [2]
    assert known.profile is not None
    assert known.profile.segments == ((KEY, NOW_S + 7 * DAY_S),)
    assert await shelf.store.known(ONE, "store") == Known()
    assert len((await shelf.store.known(THREE, "shop")).history.visits) == 1


async def test_who_was_not_seen_lives_no_longer(shelf: Shelf) -> None:
    """What others of a cluster do is added to a person's data and does not prolong it, nor count as being seen."""
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S, ttl_s=100)
    await shelf.store.join(ONE, "shop", "login", NOW_S)
    await shelf.store.join(TWO, "shop", "login", NOW_S)
    before = await shelf.ends()
    await shelf.store.observe(TWO, SHOP, [seen(2)], NOW_S + 9)
    ends, fields = await shelf.ends(), await shelf.fields(hash_of(ONE))
    assert ends[hash_of(ONE)] <= before[hash_of(ONE)]
    assert ends[history_of(ONE)] <= ends[hash_of(ONE)]
    assert int.from_bytes(fields[keys.SEEN_FIELD], "little") == NOW_S
    assert len((await shelf.store.known(ONE, "shop")).history.visits) == 2


async def test_who_is_gone_is_not_made_again(shelf: Shelf) -> None:
    """A member whose data has ended or was erased gets nothing of the others, and leaves the cluster."""
    for person in (ONE, TWO):
        await shelf.store.join(person, "shop", "login", NOW_S)
    await shelf.remove(hash_of(ONE))
    await shelf.store.observe(TWO, SHOP, [seen(2)], NOW_S)
    assert await shelf.fields(hash_of(ONE)) == {}
    assert await shelf.fields(history_of(ONE)) == {}
    assert (await shelf.fields(cluster_of("login"))).keys() == {TWO}
    assert counted(shelf, "gone") == 1


async def test_a_member_who_opted_out_gets_nothing(shelf: Shelf) -> None:
    """The tombstone of a member keeps its one field."""
    for person in (ONE, TWO):
        await shelf.store.join(person, "shop", "login", NOW_S)
    await shelf.remove(hash_of(ONE))
    await shelf.put(hash_of(ONE), keys.OPT_OUT_FIELD, b"\0\0\0\0")
    await shelf.store.observe(TWO, SHOP, [seen(2)], NOW_S)
    assert (await shelf.fields(hash_of(ONE))).keys() == {keys.OPT_OUT_FIELD}
    assert await shelf.fields(history_of(ONE)) == {}


async def test_a_cluster_is_bounded(shelf: Shelf) -> None:
    """At MAX_MEMBERS all are in; one more is not, in both places, until one of them is erased or not known any more."""
    people = [bytes([n]) * 16 for n in range(1, MAX_MEMBERS + 2)]
    for n, person in enumerate(people[:-1]):
        await shelf.store.join(person, "shop", "login", NOW_S + n)
    assert (await shelf.fields(cluster_of("login"))).keys() == set(people[:-1])
    await shelf.store.observe(people[0], SHOP, [seen(1)], NOW_S + 50)
    assert not await shelf.store.join(people[-1], "shop", "login", NOW_S + 60)
    assert (await shelf.fields(cluster_of("login"))).keys() == set(people[:-1])
    field = keys.cluster_field(keys.cluster_tag("shop", "login"))
    assert field not in await shelf.fields(hash_of(people[-1]))
    await shelf.remove(hash_of(people[1]))
    assert await shelf.store.join(people[-1], "shop", "login", NOW_S + 70)
    assert (await shelf.fields(cluster_of("login"))).keys() == {people[0], *people[2:]}
    assert field in await shelf.fields(hash_of(people[-1]))


async def test_who_was_not_seen_for_a_month_leaves(shelf: Shelf) -> None:
    """A cluster forgets who has not been there for MAX_TTL_S."""
    await shelf.store.join(ONE, "shop", "login", NOW_S)
    await shelf.store.join(TWO, "shop", "login", NOW_S + MAX_TTL_S)
    assert (await shelf.fields(cluster_of("login"))).keys() == {TWO}


async def test_logins_of_one_browser_are_bounded(shelf: Shelf) -> None:
    """One more than MAX_CLUSTERS with one advertiser is not joined, so that nobody leaves one in which the others know
    what they did; after a month without a visit the oldest makes room."""
    await shelf.store.join(ONE, "store", "login", NOW_S - 1)
    for n in range(MAX_CLUSTERS + 1):
        assert await shelf.store.join(ONE, "shop", f"login {n}", NOW_S + n) == (n < MAX_CLUSTERS)
    fields = await shelf.fields(hash_of(ONE))
    expected = {keys.cluster_tag("shop", f"login {n}") for n in range(MAX_CLUSTERS)}
    expected.add(keys.cluster_tag("store", "login"))
    assert fields.keys() == {keys.SEEN_FIELD, *map(keys.cluster_field, expected)}
    assert cluster_of(f"login {MAX_CLUSTERS}") not in await shelf.standing()
    assert not await shelf.store.join(ONE, "shop", "later", NOW_S + MAX_TTL_S - 1)
    assert await shelf.store.join(ONE, "shop", "later", NOW_S + MAX_TTL_S)
    assert keys.cluster_field(keys.cluster_tag("shop", "login 0")) not in await shelf.fields(hash_of(ONE))


async def test_a_visit_keeps_the_cluster_listed(shelf: Shelf) -> None:
    """A person's hash names a cluster since the last visit that its others were told of: so long, too, an erasure
    finds them."""
    for person in (ONE, TWO):
        await shelf.store.join(person, "shop", "login", NOW_S)
    await shelf.store.observe(ONE, SHOP, [seen(1, at_s=NOW_S + DAY_S)], NOW_S + DAY_S)
    field = keys.cluster_field(keys.cluster_tag("shop", "login"))
    assert int.from_bytes((await shelf.fields(hash_of(ONE)))[field][:4], "little") == NOW_S + DAY_S
    assert int.from_bytes((await shelf.fields(hash_of(TWO)))[field][:4], "little") == NOW_S


async def test_damaged_lists_break_nothing(shelf: Shelf) -> None:
    """Fields of clusters and members that nobody can read count as the oldest, or as nobody's."""
    await shelf.put(hash_of(ONE), keys.cluster_field(b"0" * 32), b"")
    await shelf.put(hash_of(ONE), keys.cluster_field(b"1" * 32), b"shop")
    await shelf.put(cluster_of("login"), TWO, b"?")
    assert await shelf.store.join(ONE, "shop", "login", NOW_S)
    assert await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S) == Observed(kept=1)
    assert (await shelf.fields(cluster_of("login"))).keys() == {ONE}
    assert len((await shelf.store.known(ONE, "shop")).history.visits) == 1


async def test_a_login_is_stored_nowhere(shelf: Shelf) -> None:
    """Neither as a key nor in a value, and it makes another cluster with every shop."""
    await shelf.store.join(ONE, "shop", "secret-login-4711", NOW_S)
    assert b"secret-login" not in repr(await shelf.standing()).encode()
    assert keys.cluster_tag("shop", "x") != keys.cluster_tag("store", "x")


@pytest.mark.parametrize("login", ["", "x" * (MAX_LOGIN + 1)])
async def test_logins_out_of_bounds_are_refused(shelf: Shelf, login: str) -> None:
    """An empty or over-long login raises before anything is written."""
    with pytest.raises(ValueError, match="1 to 256"):
        await shelf.store.join(ONE, "shop", login, NOW_S)
    with pytest.raises(ValueError, match="1 to 256"):
        await shelf.store.split("shop", login)
    assert await shelf.standing() == {}
    assert await shelf.store.join(ONE, "shop", "x" * MAX_LOGIN, NOW_S)


async def test_a_split_erases_with_that_shop_alone(shelf: Shelf) -> None:
    """Profiles, histories and views of every member with the shop are gone, and the cluster; other shops' data and
    other people stay as they were."""
    for person in (ONE, TWO):
        await shelf.store.join(person, "shop", "login", NOW_S)
        await shelf.store.observe(person, STORE, [seen(8)], NOW_S)
    await shelf.store.observe(THREE, SHOP, [seen(9)], NOW_S)
    apart = await shelf.standing()
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S)
    views = keys.views_key(keys.person_tag(ONE))
    for name in ("shop", "store"):
        await shelf.put(views, field_name(name), b"views")
    assert await shelf.store.split("shop", "login") == 2
    standing = await shelf.standing()
    assert cluster_of("login") not in standing
    assert standing[views] == {field_name("store"): b"views"}
    for person in (ONE, TWO):
        field = field_name("store")
        assert standing[hash_of(person)][field] == apart[hash_of(person)][field]
        assert standing[history_of(person)] == apart[history_of(person)]
        assert standing[hash_of(person)].keys() == {field, keys.SEEN_FIELD}
    assert standing[hash_of(THREE)] == apart[hash_of(THREE)]
    assert await shelf.store.split("shop", "login") == 0
