"""Keys, slots and the commands built from them."""

from __future__ import annotations

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from bidder.stores import keys


def test_slots_follow_the_cluster_specification() -> None:
    """The specification's own vector: CRC16 of 123456789 is 0x31C3."""
    assert keys.tag_slot(b"123456789") == 0x31C3


@given(st.binary(min_size=16, max_size=16))
def test_a_tag_routes_as_its_keys(person_id: bytes) -> None:
    """What stands between a key's first pair of braces is its tag, which the cluster routes by."""
    tag = keys.person_tag(person_id)
    for key in (keys.person_key(tag), keys.match_key(tag)):
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
