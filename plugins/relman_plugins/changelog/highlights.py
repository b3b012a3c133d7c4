"""What people wrote of a release while they made it: a Markdown file each, in the folder `[changelog] highlights`."""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.changelog import Section
from relman.model.diff import Diff
from relman.model.record import Record, RecordState
from relman.plugin import Fragment, SectionsContext, checkout_at, fragments_between, hookimpl


@hookimpl
def relman_sections(context: SectionsContext) -> Iterator[Section]:
    """The highlights that came in since the predecessor, those of releases in between included, each once."""
    if context.highlights is None or context.checkout is None:
        return
    paths = dict.fromkeys(path for diff in context.diffs if (path := revisions(diff, context.records)))
    found: dict[str, Fragment] = {}
    with checkout_at(context.checkout) as repository:
        for path in paths:
            for fragment in fragments_between(repository, context.highlights, path):
                found.setdefault(fragment.name, fragment)
    stream = context.release.stream if context.release else None
    variants = {diff.variant for diff in context.diffs}
    shown = [
        fragment
        for _, fragment in sorted(found.items())
        if (stream is None or not fragment.streams or stream in fragment.streams)
        and (not fragment.variants or None in variants or variants.intersection(fragment.variants))
    ]
    if shown:
        yield Section("highlights", rank=10, title="Highlights", markdown="\n\n".join(map(_written, shown)))


def revisions(diff: Diff, records: tuple[Record, ...]) -> tuple[str, ...]:
    """What a variant was built from, release by release, from its predecessor on; empty where an image does not say."""
    before, after = diff.before.revision, diff.after.revision
    if before is None or after is None:
        return ()
    finished = [record for record in reversed(records) if record.state is RecordState.FINISHED]
    mine = [v for r in finished if diff.variant and (v := r.variant(diff.variant)) and v.revision]
    recorded = [variant.revision for variant in mine if variant.revision]
    # What the first release followed is on no record of its own, and the first record says which image it was.
    followed = [variant.previous_digest for variant in mine]
    if before in recorded:
        later = recorded[len(recorded) - recorded[::-1].index(before) :]
    elif diff.before.digest and diff.before.digest in followed:
        later = recorded[followed.index(diff.before.digest) :]
    else:
        return tuple(dict.fromkeys((before, after)))
    between = later[: later.index(after)] if after in later else later
    return tuple(dict.fromkeys((before, *between, after)))


def _written(fragment: Fragment) -> str:
    only = f" *(only {', '.join(fragment.variants)})*" if fragment.variants else ""
    if fragment.title is None:
        return f"{fragment.text}{only and chr(10) + chr(10) + only.strip()}"
    return f"### {fragment.title}{only}\n\n{fragment.text}"
