"""The Kinesis stand-in: moto's server without a log line per request."""

from __future__ import annotations

import logging


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    from moto.server import main as moto

    moto()


if __name__ == "__main__":
    main()
