"""What can go wrong with a store, as a small tree.

Place: raised by stores/connection and stores/cluster; the readers turn it into a counted status.
Raises: nothing here is ever seen by an exchange: a bid without a person is a contextual bid.
"""


class StoreError(Exception):
    """The store did not answer as asked."""


class StoreDown(StoreError):
    """There is no connection, or it broke before the reply came."""


class StoreOverloaded(StoreError):
    """Too many commands without a reply, or too many bytes unsent: this one was not sent."""


class StoreLate(StoreError):
    """The reply did not come in time; it may still come, and is then dropped."""


class StoreReplyError(StoreError):
    """The server answered with an error; `str()` begins with its code, such as WRONGTYPE."""


class AddressError(ValueError):
    """A URL that does not name a store."""
