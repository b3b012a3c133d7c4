"""The least that conforms to a schema, for stand-ins whose answers have dozens of fields that nobody looks at."""

from __future__ import annotations

from typing import Any

from tests.openapi.checking import Description

PLAIN: dict[str, object] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


def sample(description: Description, schema: Any) -> Any:
    """A value with what ``schema`` requires, empty wherever it may be; patterns and lengths are the caller's."""
    found = description.followed(schema) or {}
    kinds = found.get("type")
    if found.get("nullable") or kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
        return None
    if "const" in found or "enum" in found:
        return found.get("const", found.get("enum", [None])[0])
    for several in ("oneOf", "anyOf"):
        if several in found:
            values = [sample(description, part) for part in found[several]]
            return None if None in values else values[0]
    if "allOf" in found:
        parts = [sample(description, part) for part in found["allOf"]]
        return {name: value for part in parts for name, value in part.items()}
    if found.get("format") == "date-time":
        return "2026-06-24T00:00:00Z"
    if kinds == "object" or "properties" in found:
        fields = found.get("properties", {})
        return {name: sample(description, fields.get(name, {})) for name in found.get("required", ())}
    plain = PLAIN.get(str(kinds), "")
    return [] if plain == [] else plain
