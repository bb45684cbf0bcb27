"""Other engines doing the loyalty sum from the same topic, each in an environment that this makes.

None of them is a dependency: versions are pinned here and installed once, under <home>/peers. A peer is
a script beside this file that says ``seen N`` now and then; its rate and CPU are taken between two such
lines in mid-run, as those of the jobs are.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks import cpu
from tillstream import conf as settings

HERE = Path(__file__).parent
INSTALL_S = 600


class Peer(NamedTuple):
    """packages: as pip takes them. modes: values of PEER_MODE to try, the first that runs counts."""

    name: str
    script: str
    packages: tuple[str, ...]
    modes: tuple[str, ...] = ("",)


PEERS = {
    "quixstreams": Peer("Quix Streams 3.28", "quix_sum.py", ("quixstreams==3.28.1",)),
    "bytewax": Peer("Bytewax 0.21", "bytewax_sum.py", ("bytewax[kafka]==0.21.1", "orjson==3.13.0")),
    "pathway": Peer(
        "Pathway 0.33", "pathway_sum.py", ("pathway==0.33.0",),
        ("OPERATOR_PERSISTING", "PERSISTING"),
    ),
}  # fmt: skip


class PeerError(RuntimeError):
    """It could not be installed or did not run; the message holds its last lines."""


def python_of(name: str, home: Path | None = None) -> Path:
    """The Python that has the peer, installed if it is not there yet."""
    folder = (home or settings.ROOT / ".tillstream") / "peers" / name
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = " ".join(PEERS[name].packages)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check",
         *PEERS[name].packages],
    ):  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False, env=_env()
        )
        if done.returncode:
            raise PeerError(f"{wanted} does not install here: {_end(done.stderr)}")
    stamp.write_text(wanted)
    return python


def rate(
    name: str, bootstrap: str, topic: str, count: int, folder: Path, **watching: Any
) -> dict[str, Any]:
    """The row of one run, with ``state_disk_bytes``: what its state took on disk."""
    python, problem = python_of(name), ""
    for mode in PEERS[name].modes:
        place = folder / f"{name}-{mode or 'state'}-{time.time_ns()}"
        env = _env() | {
            "PEER_BROKERS": bootstrap, "PEER_TOPIC": topic, "PEER_FOLDER": str(place),
            "PEER_MODE": mode,
        }  # fmt: skip
        command = [str(python), str(HERE / PEERS[name].script)]
        with subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=folder, start_new_session=True,
        ) as child:  # fmt: skip
            try:
                row = watch(child, count, **watching)
                return {**row, "mode": mode, "state_disk_bytes": _size(place)}
            except PeerError as error:
                problem = str(error)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(
                        child.pid, signal.SIGKILL
                    )  # with its children, in a session of theirs
    raise PeerError(f"{name}: {problem}")


def watch(
    child: subprocess.Popen[str], count: int, warm: float = 0.2, window_s: float = 1e9,
    limit_s: float = 120.0,
) -> dict[str, Any]:  # fmt: skip
    """From a fifth of the records to nine tenths, ``window_s`` or the limit."""
    process = psutil.Process(child.pid)
    seen: list[tuple[float, int, float]] = []
    said: list[str] = []
    over = threading.Event()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            if not line.startswith("seen "):
                said.append(line.rstrip())
                del said[:-20]
                continue
            done, now = int(line.split()[1]), time.perf_counter()
            if done >= count * warm or seen:
                seen.append((now, done, cpu.tree([process])))
                if done >= count * 0.9 or now - seen[0][0] > window_s:
                    break
        over.set()

    threading.Thread(target=read, daemon=True).start()
    over.wait(limit_s)
    if len(seen) < 2:
        raise PeerError(f"nothing to measure in {limit_s:.0f} s: {_end(chr(10).join(said))}")
    (t0, n0, c0), (t1, n1, c1) = seen[0], seen[-1]
    return {
        "rate": (n1 - n0) / (t1 - t0),
        "per_cpu_second": (n1 - n0) / (c1 - c0) if c1 > c0 else 0.0,
        "records": n1 - n0,
        "seconds": t1 - t0,
    }


def _env() -> dict[str, str]:
    """This environment without what leads to our own packages."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in ours}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _end(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return " | ".join(lines[-3:])[:400] or "it said nothing"
