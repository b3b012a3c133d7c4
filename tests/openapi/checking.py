"""Says what in a request, or in an answer, does not conform to a service's published description (see README.md).

Stricter than the services in one point: a field that the description of a request does not name is reported even where
the service would ignore it, since it is nearly always a slip.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from openapi_schema_validator import OAS30Validator, OAS31Validator, oas30_format_checker, oas31_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT4, DRAFT202012

HERE = Path(__file__).parent
ROOT = "urn:description"

Document = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One operation of a description: where it is in it, and what its path says for a request."""

    path: str
    method: str
    values: dict[str, str]


@dataclass(frozen=True)
class Description:
    """A trimmed description of a service."""

    name: str
    document: Document

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation of a request; `None` where there is none."""
        found = [item for item in self.operations() if item.method == method.lower()]
        asked = urlsplit(path).path
        for operation in sorted(found, key=lambda item: item.path.count("{")):
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(operation.path))
            if match := re.fullmatch(pattern, asked):
                values = {name: unquote(value) for name, value in match.groupdict().items()}
                return Operation(operation.path, operation.method, values)
        return None

    def operations(self) -> Iterator[Operation]:
        """All of them."""
        for path, item in self.document["paths"].items():
            yield from (Operation(path, method, {}) for method in item if method != "parameters")

    def at(self, *steps: str) -> Any:
        """What lies there, with references followed; `None` where nothing does."""
        found: Any = self.document
        for step in steps:
            found = self.followed(found.get(step) if isinstance(found, dict) else None)
        return found

    def followed(self, part: Any) -> Any:
        """What a reference refers to; anything else as it is."""
        while isinstance(part, dict) and isinstance(part.get("$ref"), str):
            part = self.at(*(_step(step) for step in part["$ref"].removeprefix("#/").split("/")))
        return part

    def faults(self, schema: Any, value: object) -> Iterator[str]:
        """What of ``value`` is not as ``schema`` wants it."""
        validator = _validator(self.name)
        for error in validator.evolve(schema=_absolute(schema)).iter_errors(value):
            where = ".".join(str(step) for step in error.absolute_path) or "the whole"
            yield f"{where}: {_told(error)}"


@cache
def describe(name: str) -> Description:
    """The description in ``NAME.json`` beside this file."""
    return Description(name, json.loads((HERE / f"{name}.json").read_text()))


@cache
def _validator(name: str) -> Any:
    document = describe(name).document
    new = document["openapi"].startswith("3.1")
    specification = DRAFT202012 if new else DRAFT4
    registry: Any = Registry().with_resource(ROOT, specification.create_resource(document))
    if new:
        return OAS31Validator({}, registry=registry, format_checker=oas31_format_checker)
    return OAS30Validator({}, registry=registry, format_checker=oas30_format_checker)


def _absolute(part: Any) -> Any:
    """``part`` with references that hold outside of its document, too."""
    if isinstance(part, list):
        return [_absolute(item) for item in part]
    if not isinstance(part, dict):
        return part
    whole = {key: _absolute(item) for key, item in part.items()}
    if isinstance(part.get("$ref"), str) and part["$ref"].startswith("#/"):
        whole["$ref"] = ROOT + part["$ref"]
    return whole


def _told(error: Any) -> str:
    """One line; of alternatives the faults of the one that fits best."""
    inner = min((list(group) for group in _by_branch(error)), key=len, default=[])
    deeper = "; ".join(f"{'.'.join(map(str, item.path))}: {_short(item.message)}" for item in inner)
    return deeper or _short(error.message)


def _short(message: str) -> str:
    """Both ends: the value, and what is wrong with it."""
    return message if len(message) < 200 else f"{message[:100]}…{message[-80:]}"


def _by_branch(error: Any) -> Iterator[list[Any]]:
    branches: dict[Any, list[Any]] = {}
    for item in error.context or []:
        branches.setdefault(item.schema_path[0], []).append(item)
    yield from branches.values()


def _step(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


# ---------------------------------------------------------------------------------------------------- requests


def check_request(
    description: Description, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[str, ...]:
    """What does not conform in a request; empty where all does.

    ``path`` is below the description's server, with its query; the names of ``headers`` are in lower case.
    """
    operation = description.operation(method, path)
    if operation is None:
        return (f"{method} {urlsplit(path).path}: {description.name} describes no such operation",)
    found = [*_parameters(description, operation, path, headers), *_body(description, operation, headers, body)]
    return tuple(f"{method} {operation.path}: {fault}" for fault in found)


def _parameters(description: Description, operation: Operation, path: str, headers: Mapping[str, str]) -> Iterator[str]:
    shared = description.at("paths", operation.path, "parameters") or []
    own = description.at("paths", operation.path, operation.method, "parameters") or []
    known = [description.followed(item) for item in (*shared, *own)]
    query = parse_qsl(urlsplit(path).query, keep_blank_values=True)
    names = [item["name"] for item in known if item["in"] == "query"]
    yield from (f"query `{name}`: not described" for name, _ in query if name not in names)
    yield from (f"query `{name}`: given twice" for name in names if [n for n, _ in query].count(name) > 1)
    given = {"query": dict(query), "path": operation.values, "header": dict(headers)}
    for item in known:
        name = item["name"].lower() if item["in"] == "header" else item["name"]
        text = given.get(item["in"], {}).get(name)
        if text is None:
            if item.get("required"):
                yield f"{item['in']} `{name}`: missing"
            continue
        value = _read(description, item["schema"], text)
        yield from (f"{item['in']} `{name}`: {fault}" for fault in description.faults(item["schema"], value))


def _read(description: Description, schema: Any, text: str) -> object:
    """A value that came as text, in the type that is wanted, where it can be read as that."""
    wanted = description.followed(schema) or {}
    types = {item.get("type") for item in (wanted, *wanted.get("oneOf", ()), *wanted.get("anyOf", ()))}
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    if types & {"integer", "number"} and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text) if "." in text else int(text)
    return text


def _body(description: Description, operation: Operation, headers: Mapping[str, str], body: bytes) -> Iterator[str]:
    wanted = description.at("paths", operation.path, operation.method, "requestBody")
    if wanted is None:
        if body not in (b"", b"{}"):
            yield f"body: {len(body)} bytes where none is described"
        return
    if not body:
        if wanted.get("required") and "application/octet-stream" not in wanted["content"]:
            yield "body: missing"
        elif any(_required(description, media.get("schema")) for media in wanted["content"].values()):
            yield "body: missing, and it has fields that are required"
        return
    if "application/octet-stream" in wanted["content"]:
        return  # as it comes, in whatever type it says
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in wanted["content"]:
        yield f"content-type `{kind}`: not one of {', '.join(sorted(wanted['content']))}"
        return
    schema = wanted["content"][kind].get("schema", {})
    value = _decoded(description, schema, kind, body)
    if isinstance(value, str):
        yield f"body: {value}"
        return
    yield from (f"body: {fault}" for fault in description.faults(schema, value))
    yield from (f"body: `{name}` is not described" for name in _strange(description, schema, value))


def _required(description: Description, schema: Any) -> bool:
    found = description.followed(schema) or {}
    return bool(found.get("required"))


def _decoded(description: Description, schema: Any, kind: str, body: bytes) -> object:
    """The body as a value; a text where it is none."""
    if kind == "application/json":
        try:
            value = json.loads(body)
        except ValueError as error:
            return f"no JSON: {error}"
        return value if not isinstance(value, str) else f"the text {value!r} and no object"
    known = _properties(description, schema)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        return f"no form: {error}"
    return {name: _read(description, known.get(name, {}), text) for name, text in pairs}


def _properties(description: Description, schema: Any) -> Document:
    """Every property that a schema names, in whichever of its parts."""
    found = description.followed(schema) or {}
    own: Document = dict(found.get("properties", {}))
    for part in (*found.get("allOf", ()), *found.get("oneOf", ()), *found.get("anyOf", ())):
        own |= _properties(description, part)
    return own


def _strange(description: Description, schema: Any, value: object) -> list[str]:
    known = _properties(description, schema)
    if (
        not isinstance(value, dict)
        or not known
        or (description.followed(schema) or {}).get("additionalProperties") is False
    ):
        return []
    return [name for name in value if name not in known]


# ----------------------------------------------------------------------------------------------------- answers


def _says_no(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("ok") is False


def check_response(
    description: Description, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> tuple[str, ...]:
    """What does not conform in an answer to that request; empty where all does.

    A status of 400 or more that is not described is the service's own business, and conforms.
    """
    operation = description.operation(method, path)
    if operation is None:
        return ()
    answers = description.at("paths", operation.path, operation.method, "responses") or {}
    known = next((key for key in (str(status), f"{status // 100}XX", "default") if key in answers), None)
    if "default" in answers and _says_no(body):  # Slack refuses with 200
        known = "default"
    said = f"{method} {operation.path} → {status}"
    if known is None:
        return () if status >= 400 else (f"{said}: no such status is described, but {', '.join(sorted(answers))}",)
    content = (description.followed(answers[known]) or {}).get("content")
    if not content or "application/json" not in content:
        return ()
    try:
        value = json.loads(body)
    except ValueError as error:
        return (f"{said}: no JSON: {error}",)
    return tuple(
        f"{said}: {fault}" for fault in description.faults(content["application/json"].get("schema", {}), value)
    )
