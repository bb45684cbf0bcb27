"""Marks as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.state_schemas.keyed.archived_mark import Mark

SAMPLES = {1: {"archived": Mark()}}
