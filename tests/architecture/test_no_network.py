"""The suite runs with the network closed, so that nothing in neurode comes to need it unseen."""

import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "example.invalid"])
def test_a_test_that_reaches_outside_is_refused(host):
    with pytest.raises(OSError, match=f"tried to reach '{host}'"):
        socket.create_connection((host, 80), timeout=1.0)


def test_a_test_may_talk_to_its_own_machine():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5.0) as client,
    ):
        client.sendall(b"x")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b"x"
