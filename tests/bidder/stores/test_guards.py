"""Guards lie where the keys that they guard lie, and name nobody."""

from __future__ import annotations

import secrets
from binascii import crc_hqx

from bidder.stores.guards import guard_key, slot_word
from bidder.stores.keys import SLOTS, tag_slot


def test_every_slot_has_a_word() -> None:
    """The cluster's rule puts each word into the slot that it is for, and no word has a brace."""
    for slot in range(SLOTS):
        word = slot_word(slot)
        assert crc_hqx(word, 0) % SLOTS == slot
        assert not {0x7B, 0x7D} & set(word)


def test_a_guard_names_nobody() -> None:
    """Neither the id nor its digits stand in the key; two people have two guards; the slot is the tag's."""
    one, two = secrets.token_hex(16).encode(), secrets.token_hex(16).encode()
    key = guard_key(one)
    assert one not in key
    assert bytes.fromhex(one.decode()) not in key
    assert key != guard_key(two)
    inside = key[key.index(b"{") + 1 : key.index(b"}")]
    assert crc_hqx(inside, 0) % SLOTS == tag_slot(one)
