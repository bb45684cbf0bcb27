"""Rules that raise, and what the dead letter of it says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

SECRET = "what must not be written down"


def raising(monkeypatch: pytest.MonkeyPatch, module, name: str, is_bad=lambda *_: True) -> None:
    """``module.name`` does its work, in place too, and then raises where ``is_bad(arguments)``."""
    real = getattr(module, name)

    def rule(*arguments, **named):
        made = real(*arguments, **named)
        if is_bad(*arguments):
            raise KeyError(SECRET)
        return made

    monkeypatch.setattr(module, name, rule)


def letters(harness: Any) -> list[dict]:
    return [json.loads(value) for value in harness.side["dead-letters"]]


def says(letter: dict, raw: bytes) -> None:
    assert (letter["stage"], letter["reason"]) == ("apply", "rule_failed")
    assert letter["message"].startswith("KeyError in failing.py:")
    assert SECRET not in letter["message"]
    assert base64.b64decode(letter["raw_b64"]) == raw
