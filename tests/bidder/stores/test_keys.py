"""Keys, slots and the commands built from them."""

from __future__ import annotations

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from bidder.stores import keys
from bidder.stores.scripts import MATCH, READ, with_text


def test_slots_follow_the_cluster_specification() -> None:
    """The specification's own vector: CRC16 of 123456789 is 0x31C3."""
    assert keys.tag_slot(b"123456789") == 0x31C3


@given(st.binary(min_size=16, max_size=16))
def test_a_tag_routes_as_its_keys(person_id: bytes) -> None:
    """What stands between a key's first pair of braces is its tag, which the cluster routes by."""
    tag = keys.person_tag(person_id)
    own = keys.person_key(tag), keys.match_key(tag), keys.views_key(tag), keys.marks_key(tag)
    for key in (*own, keys.history_key(tag), keys.cluster_key(tag)):
        assert key.partition(b"{")[2].partition(b"}")[0] == tag


@given(st.binary(min_size=16, max_size=16))
def test_packed_reads_are_what_hiredis_packs(person_id: bytes) -> None:
    """The commands built by hand are byte for byte those of hiredis."""
    tag = keys.person_tag(person_id)
    assert keys.read_person(tag) == hiredis.pack_command(("HGETALL", keys.person_key(tag)))  # type: ignore[arg-type]  # the stub knows 1-tuples only
    assert keys.read_match(tag) == hiredis.pack_command(("GET", keys.match_key(tag)))  # type: ignore[arg-type]  # the stub knows 1-tuples only


@given(st.text(min_size=1, max_size=256))
def test_a_match_row_never_holds_the_exchange_id(uid: str) -> None:
    """Its tag is 32 hexadecimal digits of a hash, whatever the id, lone surrogates included."""
    tag = keys.match_tag(f"exchange.test/{uid}")
    assert len(bytes.fromhex(tag.decode())) == 16
    assert keys.match_tag(f"other.test/{uid}") != tag
    assert keys.match_tag("x/\ud800") != tag


@given(
    st.binary(min_size=16, max_size=16), st.integers(1, 400), st.integers(1, 60_000), st.integers(0, 2**41)
)
def test_packed_scripts_are_what_hiredis_packs(
    person_id: bytes, imps: int, busy_ms: int, now_ms: int
) -> None:
    """The calls of scripts that are built by hand are byte for byte those of hiredis, by digest and by text."""
    tag, mark = keys.person_tag(person_id), b"\r\n$8\r\n*1"
    ending = keys.marking(mark, imps, busy_ms, now_ms)
    for script, first, packed in (
        (READ, keys.person_key(tag), tag.join(keys.exposure_frame(ending))),
        (MATCH, keys.match_key(tag), tag.join(keys.match_frame(ending))),
    ):
        rest = (3, first, keys.views_key(tag), keys.marks_key(tag), mark, imps, busy_ms, now_ms)
        assert packed == hiredis.pack_command(("EVALSHA", script.digest, *rest))  # type: ignore[arg-type]  # the stub knows 1-tuples only
        assert with_text(packed) == hiredis.pack_command(("EVAL", script.text, *rest))  # type: ignore[arg-type]  # the stub knows 1-tuples only


@given(st.text(min_size=1, max_size=256))
def test_a_cluster_never_holds_the_login(login: str) -> None:
    """Its tag is 32 hexadecimal digits of a hash, another one with every advertiser; a person's field names it."""
    tag = keys.cluster_tag("shop", login)
    assert len(bytes.fromhex(tag.decode())) == 16
    assert keys.cluster_tag("store", login) != tag
    assert keys.cluster_field(tag) == keys.CLUSTER_FIELD_PREFIX + tag


def test_clusters_and_sizes_are_named_as_they_were() -> None:
    """Their keys stand in the store from one release to the next; all sizes of an advertiser share a slot."""
    assert keys.cluster_tag("shop", "login") == b"fdfdea6d3aa93389f6a11b4304958e37"
    assert keys.cluster_tag("shop", "\ud800")
    assert keys.size_key("shop", "carts", "20261122") == b"g:{shop}:carts:20261122"
