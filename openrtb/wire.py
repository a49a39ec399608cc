"""What every wire object of OpenRTB is made of: numbers, texts and lists with bounds, flags, and the Struct settings.

Shapes: `Int` fits 32 bits signed, so that its reader may pack it or hand it to numpy; `Flag` is 0/1 or a JSON
    boolean, which exchanges mix freely (True == 1 in Python, so a reader never has to tell them apart).
Source: OpenRTB 2.6 section 2.6 (unknown fields and unknown enum values must be tolerated); measured traffic.
Never: knows no object of the protocol.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from openrtb.limits import (
    MAX_CATEGORIES,
    MAX_CODES,
    MAX_KEYWORDS_CHARS,
    MAX_LISTED,
    MAX_NAME_CHARS,
    MAX_WORDS,
)

INT_MAX = 2**31 - 1
FLOAT_MAX = 1e15

Int = Annotated[int, Meta(ge=-INT_MAX - 1, le=INT_MAX)]
Size = Annotated[int, Meta(ge=0, le=INT_MAX)]  # pixels, bit rates, counts: a negative one is malformed
Id = Annotated[str, Meta(min_length=1)]
Float = Annotated[float, Meta(ge=-FLOAT_MAX, le=FLOAT_MAX)]  # the bounds also keep out nan and infinity
Flag = Annotated[int, Meta(ge=-INT_MAX - 1, le=INT_MAX)] | bool
Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]  # what others remember answers by
Keywords = Annotated[str, Meta(max_length=MAX_KEYWORDS_CHARS)]
Codes = Annotated[list[Int], Meta(max_length=MAX_CODES)]
CodeNames = Annotated[list[Name], Meta(max_length=MAX_CODES)]
Categories = Annotated[list[Name], Meta(max_length=MAX_CATEGORIES)]
Words = Annotated[list[str], Meta(max_length=MAX_WORDS)]
Listed = Annotated[list[str], Meta(max_length=MAX_LISTED)]  # what is blocked or allowed


class Wire(Struct, gc=False, omit_defaults=True):
    """A JSON object of the protocol: no cycles, hence untracked by the collector; absent fields are None."""
