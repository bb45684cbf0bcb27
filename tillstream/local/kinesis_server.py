"""The Kinesis stand-in: moto's server, one request at a time and without a log line for each.

moto gives sequence numbers without a lock: of two puts to a shard at the same moment one overwrites
the other, and both are confirmed. The lock makes a confirmed record a kept one.
"""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any


def one_at_a_time(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """``app`` (WSGI) behind a lock; the body is read before, so a slow sender holds up nobody."""
    lock = threading.Lock()

    def locked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(length))
        with lock:
            return list(app(environ, start_response))

    return locked


def main() -> None:
    parser = argparse.ArgumentParser(description="Kinesis stand-in on 127.0.0.1.")
    parser.add_argument("-p", "--port", type=int, required=True)
    port = parser.parse_args().port
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    app = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", port, one_at_a_time(app), threaded=True)


if __name__ == "__main__":
    main()
