"""Write v1.json from the types: ``python -m tillstream.state_schemas.events.fraud_ruleset``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tillstream.domain.fraud.ruleset import RuleSet


def main() -> None:
    schema = msgspec.json.encode(msgspec.json.schema(RuleSet))
    path = Path(__file__).with_name("v1.json")
    path.write_bytes(msgspec.json.format(schema, indent=2) + b"\n")


if __name__ == "__main__":
    main()
