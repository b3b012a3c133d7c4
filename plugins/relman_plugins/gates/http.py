"""The gate `http`: a service that answers for a digest.

    { type = "http", url = "https://ci.example.org/results/{digest}", field = "result.state", equals = "passed" }

The answer has to name the digest, in the field `digest` of its JSON or where `digest_field` or `digest_header` say:
an address is no proof of what an answer is about. With `{platform}` it is asked for each platform.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from relman.model.gates import GateResult, State
from relman.model.oci import Digest, Platform
from relman.model.release import Candidate
from relman.plugin import ConfigError, Duration, GatesContext, HttpResponse, Secret, Slot, Table, hookimpl
from relman_plugins.gates.asking.answers import field_of, json_of
from relman_plugins.gates.asking.placeholders import Template, filled, in_address, per_platform, values_of
from relman_plugins.gates.command import digests_of
from relman_plugins.gates.verdict import Verdict, closing, plain

LIMIT = 1024 * 1024
"""Bytes of an answer."""

Status = Annotated[int, Field(ge=200, le=599)]


class HttpSettings(Table):
    """`{ type = "http", … }`. ``unbound``: the answer names no digest, and stands for whatever is asked about."""

    url: Template
    expect: tuple[Status, ...] = Field(default=(200,), min_length=1)
    pending: tuple[Status, ...] = ()
    timeout: Duration = timedelta(seconds=30)
    headers: Mapping[str, str | Secret] = Field(default_factory=dict)
    field: str | None = None
    equals: str | int | bool | None = None
    digest_field: str | None = None
    digest_header: str | None = None
    unbound: bool = False

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "{" in parts.netloc or "@" in parts.netloc:
            raise ValueError("write an address with `https://` and a host without placeholders and passwords")
        return value

    @model_validator(mode="after")
    def _bound(self) -> Self:
        if (self.field is None) != (self.equals is None):
            raise ValueError("`field` and `equals` go together")
        if self.unbound and (self.digest_field or self.digest_header):
            raise ValueError("`unbound` says that no answer names a digest, so there is none to look for")
        if self.unbound and self.field is None:
            raise ValueError("an answer that names no digest has to say something: give `field` and `equals`")
        return self


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "http", HttpSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed where the service says so, about this digest."""
    for rule, settings in context.asked("http", HttpSettings):
        for candidate in context.release.candidates:
            each = per_platform(settings.url)
            platforms: tuple[Platform | None, ...] = candidate.platforms if each else (None,)
            for platform in platforms:
                verdict = closing(_ask, context, candidate, platform, settings)
                yield verdict.of(candidate, rule.name, platform)


def _ask(context: GatesContext, candidate: Candidate, platform: Platform | None, settings: HttpSettings) -> Verdict:
    if context.web is None:
        raise ConfigError("there is nothing to ask with")
    url = filled(settings.url, values_of(context.release, candidate, platform), in_address)
    secrets = {name: one for name, one in settings.headers.items() if isinstance(one, Secret)}
    host = urlsplit(url).hostname
    if secrets and not url.startswith("https://") and host not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError(f"`{host}` would get a secret without TLS", hint="write `https://`")
    headers = {"Accept": "application/json"} | {
        name: context.web.reveal(value) if isinstance(value, Secret) else value
        for name, value in settings.headers.items()
    }
    response = context.web.get(url, headers=headers, timeout=settings.timeout, limit=LIMIT)
    return closing(judge, response, digests_of(candidate, platform), settings, url)


def judge(response: HttpResponse, digests: tuple[Digest, ...], settings: HttpSettings, url: str = "") -> Verdict:
    """Passed where the status, the field and the digest are those that were asked for. Raises `Closed`."""
    evidence: dict[str, object] = {"url": plain(url, 500), "status": response.status}

    def verdict(state: State, reason: str, code: str = "", needs: str | None = None) -> Verdict:
        return Verdict(state, reason, code, needs, evidence=evidence)

    if response.status in settings.pending:
        return verdict(State.PENDING, f"it answered {response.status}: not yet", "pending")
    if response.status == 404 and 404 not in settings.expect:
        return verdict(State.ABSENT, "it knows nothing of this image (404)", "unknown", "a result for this digest")
    if response.status not in settings.expect:
        state = State.ERROR if response.status >= 500 or response.status in (401, 403, 408, 429) else State.FAILED
        return verdict(state, f"it answered {response.status}", "other-status")
    document: Any = None
    if settings.field is not None or not (settings.unbound or settings.digest_header):
        document = json_of(response.content, "the answer", limit=LIMIT)
    if settings.unbound:
        evidence["unbound"] = True
    else:
        about = _about(response, document, settings)
        if about not in digests:
            which = f"about `{plain(about, 80)}`" if about else "about no digest"
            return verdict(State.ERROR, f"the answer is {which}, and this is `{digests[0]}`", "other-digest")
        evidence["digest"] = about
    if settings.field is None:
        return verdict(State.PASSED, f"it answered {response.status}, about this digest")
    value = field_of(document, settings.field)
    evidence["value"] = plain(value, 100)
    alike = isinstance(value, str) and isinstance(settings.equals, str)
    found, wanted = (value, settings.equals) if alike else (_json(value), _json(settings.equals))
    what = f"`{settings.field}` is `{plain(found, 60)}`"
    if value is None:
        return verdict(State.ABSENT, f"the answer has no `{settings.field}`", "no-field")
    # `True == 1` in Python: a state that is a number is no truth value.
    if value != settings.equals or isinstance(value, bool) != isinstance(settings.equals, bool):
        return verdict(State.FAILED, f"{what}, and not `{wanted}`", "other-value")
    return verdict(State.PASSED, f"{what}" + (", of no digest in particular" if settings.unbound else ""))


def _json(value: object) -> str:
    """A value that tells `1` from `"1"`, as the answer and relman.toml write it."""
    return json.dumps(value, ensure_ascii=False)


def _about(response: HttpResponse, document: object, settings: HttpSettings) -> str:
    """The digest that the answer names, or what stands in its place."""
    if settings.digest_header:
        return response.headers.get(settings.digest_header.lower()) or response.headers.get(settings.digest_header, "")
    found = field_of(document, settings.digest_field or "digest")
    return found if isinstance(found, str) else ""
