import socket
from pathlib import Path

from tillstream.local import ports

DEFAULTS = {"kafka": 9092, "s3": 9000}


def test_the_usual_ports_when_they_are_free():
    assert ports.choose({}, {}, DEFAULTS, free=lambda port: True) == DEFAULTS


def test_the_ports_of_the_last_run_come_first():
    chosen = ports.choose({}, {"kafka": 19092}, DEFAULTS, free=lambda port: True)
    assert chosen == {"kafka": 19092, "s3": 9000}


def test_a_taken_port_is_replaced_by_a_free_one():
    chosen = ports.choose({}, {}, DEFAULTS, free=lambda port: port != 9092)
    assert chosen["kafka"] not in (9092, 9000)
    assert chosen["s3"] == 9000


def test_the_port_of_a_running_process_stays_although_it_is_taken():
    chosen = ports.choose({"kafka": 9092}, {"kafka": 9092}, DEFAULTS, free=lambda port: False)
    assert chosen["kafka"] == 9092


def test_no_port_is_given_twice():
    chosen = ports.choose({}, {"kafka": 9000}, DEFAULTS, free=lambda port: True)
    assert len(set(chosen.values())) == 2


def test_a_listening_port_is_not_free():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert not ports.is_free(server.getsockname()[1])


def test_no_connection_that_goes_out_is_given_a_free_port_before_its_server_starts():
    limits = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(limits.read_text().split()[0]) if limits.exists() else 49_152
    chosen = ports.any_free(set())
    assert 1_024 <= chosen < first
    assert ports.is_free(chosen)
    assert ports.any_free(set(ports.SERVERS) - {chosen}) == chosen
