"""`relman.changelog/1`: a changelog as scripts read it, and as plans and records keep it (docs/contract)."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from relman.documents.changelog_shape import (
    AccountingDocument,
    ChangelogDocument,
    CommitCounts,
    CommitDocument,
    FixDocument,
    GroupDocument,
    KeysDocument,
    MajorDocument,
    PackageCounts,
    PackageDocument,
    RowDocument,
    SectionDocument,
    VariantDocument,
)
from relman.documents.reading import canonical, printable, validated
from relman.errors import Malformed
from relman.model.changelog import (
    Accounting,
    Changelog,
    Commit,
    Fix,
    Group,
    Major,
    PackageName,
    Row,
    Section,
    VariantSummary,
)
from relman.model.diff import ChangeKind, Part
from relman.model.oci import Platform

CHANGELOG_SCHEMA: Final = "relman.changelog/1"


_CHANGELOG = TypeAdapter(ChangelogDocument)


def changelog_document(changelog: Changelog) -> ChangelogDocument:
    """The changelog as JSON has it, its keys in the order of the contract."""
    counts = changelog.accounting
    document = ChangelogDocument(
        schema=CHANGELOG_SCHEMA,
        project=changelog.project,
        stream=changelog.stream,
        version=changelog.version,
        previous=changelog.previous,
        title=changelog.title,
        variants=[_variant_document(variant) for variant in changelog.variants],
        majors=[_major_document(major) for major in changelog.majors],
        groups=[_group_document(group) for group in changelog.groups],
        commits=[_commit_document(commit) for commit in changelog.commits],
        security=None
        if changelog.security is None
        else [FixDocument(id=fix.id, packages=list(fix.packages), text=fix.text) for fix in changelog.security],
        sections=[
            SectionDocument(id=each.id, rank=each.rank, title=each.title, markdown=each.markdown)
            for each in changelog.sections
        ],
        keys=KeysDocument(added=list(changelog.keys_added), removed=list(changelog.keys_removed)),
        accounting=AccountingDocument(
            commits=CommitCounts(
                in_range=counts.commits_in_range, listed=counts.commits_listed, excluded=counts.commits_excluded
            ),
            packages=PackageCounts(
                changed=counts.packages_changed, shown=counts.packages_shown, ignored=counts.packages_ignored
            ),
        ),
        notes=list(changelog.notes),
        repository_url=changelog.repository_url,
        major=changelog.major,
    )
    if changelog.imported:
        document["imported"] = True
    return document


def changelog_bytes(changelog: Changelog) -> bytes:
    """The document as it is printed and kept: the same changelog gives the same bytes."""
    return canonical(changelog_document(changelog))


def _variant_document(variant: VariantSummary) -> VariantDocument:
    document = VariantDocument(
        name=variant.name,
        platform=str(variant.platform),
        digest=variant.digest,
        previous_digest=variant.previous_digest,
        revision=variant.revision,
        exact=variant.exact,
        packages=variant.packages,
    )
    if variant.download is not None:
        document["download"] = variant.download
    return document


def _major_document(major: Major) -> MajorDocument:
    document = MajorDocument(
        label=major.label,
        package=major.package,
        before=list(major.before),
        after=list(major.after),
        variants=list(major.variants),
    )
    if major.traits:
        document["traits"] = sorted(major.traits)
    return document


def _group_document(group: Group) -> GroupDocument:
    return GroupDocument(
        title=group.title,
        variants=list(group.variants),
        platforms=[str(platform) for platform in group.platforms],
        changes=[_row_document(row) for row in group.rows],
    )


def _row_document(row: Row) -> RowDocument:
    document = RowDocument(
        kind=row.kind.value,
        part=row.part.value if row.part else None,
        ecosystem=row.ecosystem,
        source=row.source,
        packages=[PackageDocument(name=package.name, arch=package.arch) for package in row.packages],
        before=list(row.before),
        after=list(row.after),
    )
    if row.arch_before is not None:
        document["arch_before"] = row.arch_before
    if row.vendor_before is not None:
        document["vendor_before"] = row.vendor_before
    if row.name_before is not None:
        document["name_before"] = row.name_before
    if row.vendor is not None:
        document["vendor"] = row.vendor
    return document


def _commit_document(commit: Commit) -> CommitDocument:
    document = CommitDocument(
        sha=commit.sha,
        subject=commit.subject,
        author=commit.author,
        type=commit.type,
        scope=commit.scope,
        breaking=commit.breaking,
        listed=commit.listed,
        reason=commit.reason,
        reverted_by=commit.reverted_by,
        variants=list(commit.variants),
    )
    if commit.co_authors:
        document["co_authors"] = list(commit.co_authors)
    if commit.bot:
        document["bot"] = True
    if commit.pull_request is not None:
        document["pull_request"] = commit.pull_request
    if commit.closes:
        document["closes"] = list(commit.closes)
    if commit.newcomers != ():
        document["newcomers"] = None if commit.newcomers is None else list(commit.newcomers)
    return document


def changelog_from_document(document: object, *, what: str = "the changelog") -> Changelog:
    """The changelog that ``document`` holds: what `changelog_document` made, or somebody else who keeps the contract.

    Keys that relman does not know are let be. Raises `Malformed`, also for counts that do not add up.
    """
    read = validated(_CHANGELOG, document, CHANGELOG_SCHEMA, what=what)
    try:
        return _changelog(read)
    except ValueError as error:
        raise Malformed(printable(f"{what} does not add up: {error}")) from error


def _changelog(read: ChangelogDocument) -> Changelog:
    commits, packages = read["accounting"]["commits"], read["accounting"]["packages"]
    security = read["security"]
    return Changelog(
        project=read["project"],
        stream=read["stream"],
        version=read["version"],
        previous=read["previous"],
        title=read["title"],
        variants=tuple(_variant(variant) for variant in read["variants"]),
        majors=tuple(_major(major) for major in read["majors"]),
        groups=tuple(_group(group) for group in read["groups"]),
        commits=tuple(_commit(commit) for commit in read["commits"]),
        security=None
        if security is None
        else tuple(Fix(fix["id"], tuple(fix["packages"]), fix["text"]) for fix in security),
        sections=tuple(Section(s["id"], s["rank"], s["title"], s["markdown"]) for s in read["sections"]),
        keys_added=tuple(read["keys"]["added"]),
        keys_removed=tuple(read["keys"]["removed"]),
        accounting=Accounting(
            commits_in_range=commits["in_range"],
            commits_listed=commits["listed"],
            commits_excluded=commits["excluded"],
            packages_changed=packages["changed"],
            packages_shown=packages["shown"],
            packages_ignored=packages["ignored"],
        ),
        notes=tuple(read.get("notes", ())),
        repository_url=read.get("repository_url"),
        major=read.get("major"),
        imported=read.get("imported", False),
    )


def _variant(read: VariantDocument) -> VariantSummary:
    return VariantSummary(
        name=read["name"],
        platform=Platform.parse(read["platform"]),
        digest=read["digest"],
        previous_digest=read["previous_digest"],
        revision=read["revision"],
        exact=read["exact"],
        packages=read["packages"],
        download=read.get("download"),
    )


def _major(read: MajorDocument) -> Major:
    return Major(
        label=read["label"],
        package=read["package"],
        before=tuple(read["before"]),
        after=tuple(read["after"]),
        variants=tuple(read["variants"]),
        traits=frozenset(read.get("traits", ())),
    )


def _group(read: GroupDocument) -> Group:
    return Group(
        title=read["title"],
        variants=tuple(read["variants"]),
        platforms=tuple(Platform.parse(platform) for platform in read["platforms"]),
        rows=tuple(_row(row) for row in read["changes"]),
    )


def _row(read: RowDocument) -> Row:
    if not read["packages"]:
        raise ValueError("a row without packages")
    return Row(
        kind=ChangeKind(read["kind"]),
        part=None if read["part"] is None else Part(read["part"]),
        ecosystem=read["ecosystem"],
        source=read["source"],
        packages=tuple(PackageName(package["name"], package["arch"]) for package in read["packages"]),
        before=tuple(read["before"]),
        after=tuple(read["after"]),
        arch_before=read.get("arch_before"),
        vendor_before=read.get("vendor_before"),
        name_before=read.get("name_before"),
        vendor=read.get("vendor"),
    )


def _commit(read: CommitDocument) -> Commit:
    newcomers = read.get("newcomers", [])
    return Commit(
        sha=read["sha"],
        subject=read["subject"],
        author=read["author"],
        type=read["type"],
        scope=read["scope"],
        breaking=read["breaking"],
        listed=read["listed"],
        reason=read["reason"],
        reverted_by=read["reverted_by"],
        variants=tuple(read["variants"]),
        co_authors=tuple(read.get("co_authors", ())),
        bot=read.get("bot", False),
        pull_request=read.get("pull_request"),
        closes=tuple(read.get("closes", ())),
        newcomers=None if newcomers is None else tuple(newcomers),
    )
