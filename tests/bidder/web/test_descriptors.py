"""What a limit of open files leaves to the ports of a worker."""

import pytest

from bidder.config import Config
from bidder.settings import ExchangePort, PublicPort, Tls
from bidder.web.descriptors import OWN, PASSING, TURNS, bounds, needed
from bidder.web.listener import ACCEPTS_PER_TURN
from bidder.web.public import MAX_CONNECTIONS
from bidder.web.tls import MAX_HANDSHAKES

SECURED = Tls(cert_file="some.pem")
PLAIN, TLS = Config(), Config(exchange=ExchangePort(tls=SECURED), public=PublicPort(tls=SECURED))
MANY = Config(exchange=ExchangePort(max_connections=1_000_000))


@pytest.mark.parametrize("config", [PLAIN, TLS, MANY])
def test_where_there_are_enough_all_is_as_configured(config: Config) -> None:
    """And one file fewer is one connection fewer."""
    fit = bounds(config, needed(config))
    assert (fit.exchange, fit.public) == (config.exchange.max_connections, MAX_CONNECTIONS)
    assert (fit.handshakes, fit.accepts) == (MAX_HANDSHAKES, ACCEPTS_PER_TURN)
    less = bounds(config, needed(config) - 1)
    assert less.exchange + less.public == fit.exchange + fit.public - 1


@pytest.mark.parametrize("config", [PLAIN, TLS, MANY])
@pytest.mark.parametrize("limit", [512, 1_024, 2_048, 4_096, 10_000, 20_000, 65_536])
def test_both_ports_full_leave_the_reserve(config: Config, limit: int) -> None:
    """Whatever strangers open at one port, the other has its own, and so have files, stores and who passes."""
    fit = bounds(config, limit)
    ports = 2 if config is TLS else 0
    passing = min(2 * PASSING, (limit - OWN) // 4)
    assert fit.exchange + fit.public + ports * fit.handshakes + passing <= limit - OWN
    assert min(fit.exchange, fit.public, fit.handshakes) >= 32
    assert 1 <= fit.accepts <= passing // (2 * TURNS)
    assert fit.exchange >= min(fit.public, config.exchange.max_connections)


def test_what_cannot_work_is_taken_for_what_may() -> None:
    """A limit below what a worker needs for itself gives no bound below one."""
    assert bounds(PLAIN, 0) == bounds(PLAIN, 2 * OWN)
