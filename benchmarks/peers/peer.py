"""What run.py has told a peer's script, and what the script tells it: how many records it has seen."""

import os
import time

BROKERS, TOPIC, FOLDER = (os.environ[f"PEER_{name}"] for name in ("BROKERS", "TOPIC", "FOLDER"))
SAY_S = 0.25
seen = due = 0
told = 0.0


def tell(more):
    """``more`` records were seen; said four times a second, and looked at the clock each 500 records."""
    global seen, due, told
    seen += more
    if seen >= due and time.monotonic() - told > SAY_S:
        due, told = seen + 500, time.monotonic()
        print("seen", seen, flush=True)
