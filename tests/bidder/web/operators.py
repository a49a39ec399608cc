"""An operators' port without a supervisor: its keys, its tokens, a service that is ready or not."""

from collections.abc import Mapping

from bidder.clock import Clock, SystemClock
from bidder.notices.keys import Keyring
from bidder.settings import OpsPort
from bidder.web.access import Access
from bidder.web.roles import ROLES, Holder, make_token

OLD_KEY = (1, bytes(range(32)))
NEW_KEY = (2, bytes(range(32, 64)))
RING = Keyring((NEW_KEY, OLD_KEY))


class Service:
    """Ready or not, as the test says."""

    is_ready = False

    def ready(self) -> bool:
        return self.is_ready

    def scrape(self) -> bytes:
        return b"x 1\n"


def access(settings: OpsPort | None = None, keyring: Keyring = RING, clock: Clock | None = None) -> Access:
    """Who may what on such a port; loopback without a token unless told otherwise."""
    return Access(settings or OpsPort(), keyring, clock or SystemClock())


def token(role: str, *, name: str = "ada", life_s: float = 3_600, keyring: Keyring = RING) -> str:
    """A token that is good for so long from now on."""
    return make_token(keyring, Holder(name, ROLES[role], int(SystemClock().now_s() + life_s)))


def bearer(text: str) -> Mapping[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {text}"}
