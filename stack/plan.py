"""What a supervisor is told to hold, as the line that it reads first."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from stack.components import Component, Health


@dataclass(frozen=True)
class Plan:
    """What a supervisor is told to hold."""

    home: Path
    urls: dict[str, str]
    components: tuple[Component, ...]


def write_plan(plan: Plan) -> bytes:
    """Return a plan as the line that a supervisor reads."""
    return json.dumps(asdict(plan), default=str).encode() + b"\n"


def read_plan(line: bytes) -> Plan:
    """Return the plan that `write_plan` wrote."""
    fields = json.loads(line)
    return Plan(Path(fields["home"]), fields["urls"], tuple(map(_component, fields["components"])))


def _component(fields: dict[str, object]) -> Component:
    health = fields.pop("health")
    command = fields.pop("command")
    return Component(
        **fields,  # type: ignore[arg-type] # JSON of this very dataclass
        command=tuple(command),  # type: ignore[arg-type]
        health=Health(**health) if isinstance(health, dict) else None,
    )
