"""Shared listening sockets."""

import os
import socket

import pytest

from bidder.web.sockets import PortTaken, SlotSockets, claim_port, inherited_socket, shared_socket


def test_a_claimed_port_is_shared_by_workers_and_by_nobody_else() -> None:
    """While a port is claimed, several workers listen on it, and a second claim is refused."""
    with claim_port("127.0.0.1", 0, "exchange") as held:
        number = held.getsockname()[1]
        with shared_socket("127.0.0.1", number) as one, shared_socket("127.0.0.1", number) as two:
            one.listen()
            two.listen()
            with pytest.raises(PortTaken, match=f"the exchange port 127.0.0.1:{number} is in use"):
                claim_port("127.0.0.1", number, "exchange")


def test_the_holder_itself_takes_no_connection() -> None:
    """A claimed port without a worker refuses connections: nothing is lost in a queue of nobody."""
    with claim_port("127.0.0.1", 0, "exchange") as held, pytest.raises(ConnectionRefusedError):
        socket.create_connection(held.getsockname())


def test_connections_that_we_closed_first_hold_no_restart_up() -> None:
    """A service that hung up on its clients can be started again at once; while it is held, nobody else can."""
    with claim_port("127.0.0.1", 0, "public") as held:
        number = held.getsockname()[1]
        with shared_socket("127.0.0.1", number) as worker:
            worker.setblocking(True)
            worker.listen()
            with socket.create_connection(("127.0.0.1", number)) as client:
                worker.accept()[0].close()
                assert client.recv(1) == b""
        with pytest.raises(PortTaken):
            claim_port("127.0.0.1", number, "public")
    claim_port("127.0.0.1", number, "public").close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "::ffff:1:2:3:4:5:6:7"])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    """An address of another machine, or no address at all, is one clear line."""
    with pytest.raises(PortTaken, match=r"^the public port .* cannot be had: "):
        claim_port(host, 0, "public")


def test_ipv6() -> None:
    """A host with colons is an IPv6 address."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        with claim_port("::1", 0, "public") as held:
            assert held.family == socket.AF_INET6
    except PortTaken as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")


def test_the_sockets_of_a_slot_listen_until_they_are_ended() -> None:
    """A worker's copies keep them open when the supervisor lets go; ended, nobody listens, and the next are new."""
    with claim_port("127.0.0.1", 0, "exchange") as exchange, claim_port("127.0.0.1", 0, "public") as public:
        place = exchange.getsockname()
        slot = SlotSockets(place, public.getsockname())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
        inherited = [inherited_socket(os.dup(descriptor)) for descriptor in slot.descriptors()]
        assert not any(sock.get_inheritable() for sock in inherited)
        inherited[0].listen()
        with socket.create_connection(place) as waiting:
            waiting.settimeout(30)
            slot.end()
            with pytest.raises(ConnectionResetError):
                waiting.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
        successor = inherited_socket(os.dup(slot.descriptors()[0]))
        successor.listen()
        slot.let_go()
        socket.create_connection(place).close()
        for sock in (*inherited, successor):
            sock.close()
