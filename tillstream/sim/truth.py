"""What was planted, written down as it is sent: sent.jsonl in send order, summary.json with counts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tillstream.sim.simulator import Sent, truth_line


class TruthWriter:
    """``note``: what the run was before; counts are added at the end."""

    def __init__(self, directory: Path, **note: Any) -> None:
        self.directory, self.note = directory, note
        self.classes: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.damages: Counter[str] = Counter()
        self.contracts: Counter[int] = Counter()
        self.anonymous = 0
        self.count = 0
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / "sent.jsonl").open("wb", buffering=1 << 20)

    def write(self, sent: Sent) -> None:
        self._file.write(truth_line(self.count, sent))
        self.count += 1
        self.classes[sent.klass] += 1
        if sent.record is None:
            self.damages[sent.damage or "unknown"] += 1
        else:
            self.kinds[sent.record["kind"]] += 1
            self.contracts[sent.record["schema"]] += sent.stream == "tills"
            self.anonymous += sent.stream == "tills" and sent.key[0] != "C"

    def close(self) -> None:
        """summary.json is complete once this returns."""
        self._file.close()
        (self.directory / "summary.json").write_text(json.dumps(self.summary(), indent=2) + "\n")

    def summary(self) -> dict[str, Any]:
        return {
            "sent": self.count,
            "classes": dict(sorted(self.classes.items())),
            "kinds": dict(sorted(self.kinds.items())),
            "malformed": dict(sorted(self.damages.items())),
            "anonymous": self.anonymous,
            **({"v2": self.contracts[2]} if self.contracts[2] else {}),
            **self.note,
        }
