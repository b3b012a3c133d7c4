"""The tables of relman.toml as pydantic models: one place that says which keys there are (docs/contract)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from relman.model.oci import Platform, parse_repository
from relman.model.streams import OnFailure, SourceMoved, TagPattern
from relman.settings import Duration, Secret, Table


def _platform(text: str) -> str:
    Platform.parse(text)
    return text


def _dated(text: str) -> str:
    if not {"today", "date"} & TagPattern(text).placeholders:
        raise ValueError(f"`{text}` has no day: a dated tag needs {{date}} (or, where it is made, {{today}})")
    return text


def _moving(text: str) -> str:
    if {"today", "date", "point"} & TagPattern(text).placeholders:
        raise ValueError(f"`{text}` is the tag of a stream, which moves: it takes only {{suffix}} and {{major}}")
    return text


def _branch(text: str) -> str:
    # gitrevisions(7), git-check-ref-format(1): what every git takes, and nothing that could be an option.
    if not re.fullmatch(
        r"(?!.*(\.\.|//|@\{|\.lock(/|$)|/\.|\.$|/$))[^\s~^:?*\[\\\x00-\x1f\x7f./-][^\s~^:?*\[\\\x00-\x1f\x7f]*", text
    ):
        raise ValueError(f"`{text}` cannot be the name of a branch")
    return text


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"`{text}` is not a regular expression: {error}") from error
    return text


def _address(text: str) -> str:
    if text and not re.match(r"https?://[^/?#{}%\s@\\]+(?:/|$)", text):
        raise ValueError(f"`{text}` is not the template of an address: it begins with https:// and a host as it is")
    return text


def _prefix(text: str) -> str:
    parse_repository(f"{text.rstrip('/')}/x")
    return text


def _folder(text: str) -> str:
    parts = text.strip("/").split("/")
    if text.startswith("/") or ":" in text or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"`{text}` is not a folder of the git repository: write it from the root, such as `changes/`")
    return "/".join(parts)


SHIPPED = "image:"
"""Before the path of a policy that each image ships itself."""

Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
PlatformText = Annotated[str, AfterValidator(_platform)]
BranchText = Annotated[str, AfterValidator(_branch)]
PatternText = Annotated[str, AfterValidator(_dated)]
MovingText = Annotated[str, AfterValidator(_moving)]
Expression = Annotated[str, AfterValidator(_expression)]
Folder = Annotated[str, AfterValidator(_folder)]
AddressText = Annotated[str, AfterValidator(_address)]
Prefix = Annotated[str, AfterValidator(_prefix)]


class ProfileTable(Table):
    """`[profile]`."""

    name: Text
    without: tuple[Text, ...] = ()


class ProjectTable(Table):
    """`[project]`."""

    name: Text
    repository: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    checkout: str = "."
    platforms: tuple[PlatformText, ...] = ()


class RegistryTable(Table):
    """`[registry]`."""

    prefix: Prefix
    insecure: tuple[Text, ...] = ()


class VariantTable(Table):
    """`[[variants]]`."""

    name: Name
    repository: str | None = None
    suffix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]*$")] = ""
    traits: tuple[Text, ...] = ()
    platforms: tuple[PlatformText, ...] = ()


class GroupTable(Table):
    """`[[groups]]`."""

    title: Text
    traits: Annotated[tuple[Text, ...], Field(min_length=1)]


class MajorTable(Table):
    """`[[majors]]`."""

    label: Text
    package: Text | None = None
    from_: Annotated[str, StringConstraints(pattern=r"^label:.+$")] | None = Field(None, alias="from")
    traits: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> MajorTable:
        if (self.package is None) == (self.from_ is None):
            raise ValueError('give either `package = "…"` or `from = "label:…"`')
        return self


class LinkTable(Table):
    """`[[links]]`."""

    url: AddressText = ""
    build: AddressText = ""
    ecosystem: Text = "*"
    vendor: Text = "*"
    package: Text = "*"
    version: Text = "*"


class SignatureTable(Table):
    """`[signature]`."""

    policy: Text | None = None
    registries: Text | None = None
    keys: tuple[Text, ...] = ()
    identity: Text | None = None
    issuer: Text | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SignatureTable:
        if sum((self.policy is not None, bool(self.keys), self.identity is not None)) != 1:
            raise ValueError('give one of `policy = "…"`, `keys = ["…"]`, and `identity = "…"` with `issuer = "…"`')
        if (self.identity is None) != (self.issuer is None):
            raise ValueError(
                "`identity` and `issuer` go together: an identity is one only where somebody vouches for it"
            )
        if self.policy and self.policy.startswith(SHIPPED):
            path = self.policy.removeprefix(SHIPPED)
            if not path.startswith("/") or any(part in ("", ".", "..") for part in path[1:].split("/")):
                raise ValueError(f"`{path}` is no path in an image: write `{SHIPPED}/etc/containers/policy.json`")
            if self.registries:
                raise ValueError("the image ships its own registries.d: leave out `registries`")
        if self.registries and not self.policy:
            raise ValueError("`registries` is what hosts read beside a policy: it goes with `policy`")
        return self


class RenameTable(Table):
    """An entry of `[packages] rename`."""

    match: Expression
    to: str


class PackagesTable(Table):
    """`[packages]`."""

    sources: tuple[Text, ...] = ("contents", "sbom", "rpmdb", "label")
    minimum: Annotated[int, Field(ge=1)] = 100
    ignore: tuple[Text, ...] = ()
    rename: tuple[RenameTable, ...] = ()
    ecosystems: tuple[Text, ...] = ()


class StreamTable(Table):
    """`[streams.NAME]`."""

    tags: Annotated[tuple[MovingText, ...], Field(min_length=1)]
    versions: tuple[PatternText, ...] = ()
    from_: Text | None = Field(None, alias="from")
    new_version: tuple[PatternText, ...] | None = None
    on_source_moved: SourceMoved = SourceMoved.PROMOTE_PLANNED
    on_failure: OnFailure = OnFailure.FORWARD
    soak: Duration | None = None
    gates: tuple[Any, ...] | None = None
    prefix: Prefix | None = None
    expect: Duration | None = None

    @field_validator("new_version", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("tags")
    @classmethod
    def _primary_is_known(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if tags and "major" in TagPattern(tags[0]).placeholders:
            raise ValueError(f"the first tag says what the stream holds, so `{tags[0]}` cannot depend on {{major}}")
        return tags

    @model_validator(mode="after")
    def _promotes_or_not(self) -> StreamTable:
        if self.from_ and not self.new_version:
            raise ValueError('a stream with `from` needs `new_version`, such as `"stable{suffix}-{today}[.{point}]"`')
        if self.new_version and not self.from_:
            raise ValueError("`new_version` is for streams with `from`: this one is built in place, by your builds")
        if not self.from_ and not self.versions:
            raise ValueError("needs `versions`: how are its dated tags read?")
        return self


class CommitsTable(Table):
    """`[changelog] commits`."""

    exclude: tuple[Expression, ...] = ()
    required: bool = True
    authors: bool = False


class ChangelogTable(Table):
    """`[changelog]`."""

    title: Text | None = None
    page: Annotated[str, StringConstraints(pattern=r"^https?://[^/\s{}]+/\S.*$")] | None = None
    commits: CommitsTable = CommitsTable()
    security: bool = False
    templates: Text | None = None
    known_issues: Folder | None = None
    highlights: Folder | None = None


class LedgerTable(Table):
    """`[ledger]`."""

    path: Text | None = None
    branch: BranchText | None = None
    remote: Text | None = None

    @model_validator(mode="after")
    def _one_place(self) -> LedgerTable:
        if self.path and self.branch:
            raise ValueError("records lie in a folder (`path`) or in a branch, not in both")
        if self.remote and not self.branch:
            raise ValueError("`remote` says where a `branch` lies, and there is none")
        return self


class RecordTable(Table):
    """`[record]`."""

    attach: bool = False
    key: Secret | None = None
    password: Secret | None = None
    sign: Literal["keyless"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> RecordTable:
        if self.key and self.sign:
            raise ValueError('statements are signed with a `key`, or by an identity (`sign = "keyless"`), not by both')
        if self.password and not self.key:
            raise ValueError("`password` opens a `key`, and there is none")
        if (self.key or self.sign) and not self.attach:
            raise ValueError("what is signed is the attached statement: `attach = true` is missing")
        return self


class FileTable(Table):
    """The whole file. Channels and plugins' own tables are checked against the plugins that understand them."""

    profile: ProfileTable | None = None
    project: ProjectTable
    registry: RegistryTable | None = None
    variants: tuple[VariantTable, ...] = ()
    groups: tuple[GroupTable, ...] = ()
    majors: tuple[MajorTable, ...] = ()
    links: tuple[LinkTable, ...] = ()
    signature: SignatureTable | None = None
    packages: PackagesTable = PackagesTable()
    streams: dict[Name, StreamTable] = Field(default_factory=dict)
    changelog: ChangelogTable = ChangelogTable()
    ledger: LedgerTable = LedgerTable()
    record: RecordTable = RecordTable()
    publish: tuple[dict[str, Any], ...] = ()
    announce: tuple[dict[str, Any], ...] = ()
    plugins: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("profile", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


Kind = Literal["publish", "announce"]
