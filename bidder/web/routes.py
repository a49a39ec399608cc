"""A route of the public port, and what it takes: each room of the public port gives its own.

Place: public.py serves them all behind one guard.
Limits: `max_query` characters of path and query (414), `max_body` bytes (413); a body is read before the handler runs.
"""

from typing import Final

from aiohttp.typedefs import Handler
from msgspec import Struct

MAX_QUERY: Final = 2_048  # a token has 152 characters, an encrypted price below 256
MAX_BODY: Final = 65_536


class Route(Struct, frozen=True):
    """One method of one path; aiohttp's patterns may stand in the path."""

    method: str
    path: str
    handler: Handler
    max_query: int = MAX_QUERY
    max_body: int = MAX_BODY
