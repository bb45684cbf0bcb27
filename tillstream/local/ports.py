"""Which ports the stack listens on: the usual ones, or free ones where those are taken."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Mapping

DEFAULTS: dict[str, int] = {
    "kafka": 9092,
    "kafka-controller": 9093,
    "kinesis": 4567,
    "dynamodb": 8000,
    "s3": 9000,
    "zookeeper": 2181,
    "flink-rpc": 6123,
    "flink-rest": 8081,
}
# Below what Linux and macOS give to connections that go out: one of those, of the stack's own processes too,
# would take a free port from a server that has yet to start.
SERVERS = range(10_240, 32_768)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections only linger counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    # A server on all interfaces does not hinder the bind everywhere, but it would get our calls.
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def any_free(avoid: set[int]) -> int:
    """A free port of SERVERS that is not in ``avoid``; by chance, so that two stacks that start at once
    hardly choose the same. Raises OSError if there is none."""
    for port in random.sample(SERVERS, len(SERVERS)):
        if port not in avoid and is_free(port):
            return port
    raise OSError(f"no free port from {SERVERS.start} to {SERVERS.stop - 1} of 127.0.0.1")


def choose(
    keep: Mapping[str, int],
    previous: Mapping[str, int],
    defaults: Mapping[str, int] = DEFAULTS,
    free: Callable[[int], bool] = is_free,
) -> dict[str, int]:
    """A port for every name of ``defaults``.

    ``keep`` are ports of processes that run already; else the one of the ``previous`` run, else the
    default, else any free one.
    """
    chosen = dict(keep)
    for name, default in defaults.items():
        if name not in chosen:
            used = set(chosen.values())
            wanted = [port for port in (previous.get(name), default) if port]
            usable = (port for port in wanted if port not in used and free(port))
            chosen[name] = next(usable, 0) or any_free(used | set(defaults.values()))
    return chosen
