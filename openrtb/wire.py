"""What every wire object of OpenRTB is made of: number types with bounds, flags, and the Struct settings.

Shapes: `Int` fits 32 bits signed, so that its reader may pack it or hand it to numpy; `Flag` is 0/1 or a JSON
    boolean, which exchanges mix freely (True == 1 in Python, so a reader never has to tell them apart).
Source: OpenRTB 2.6 section 2.6 (unknown fields and unknown enum values must be tolerated); measured traffic.
Never: knows no object of the protocol.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

INT_MAX = 2**31 - 1
FLOAT_MAX = 1e15

Int = Annotated[int, Meta(ge=-INT_MAX - 1, le=INT_MAX)]
Size = Annotated[int, Meta(ge=0, le=INT_MAX)]  # pixels, bit rates, counts: a negative one is malformed
Id = Annotated[str, Meta(min_length=1)]
Float = Annotated[float, Meta(ge=-FLOAT_MAX, le=FLOAT_MAX)]  # the bounds also keep out nan and infinity
Flag = Annotated[int, Meta(ge=-INT_MAX - 1, le=INT_MAX)] | bool


class Wire(Struct, gc=False, omit_defaults=True):
    """A JSON object of the protocol: no cycles, hence untracked by the collector; absent fields are None."""
