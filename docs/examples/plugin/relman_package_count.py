"""A section of the notes: how many packages each image had, and has."""

from relman.model.changelog import Section
from relman.plugin import SectionsContext, hookimpl


@hookimpl
def relman_sections(context: SectionsContext) -> list[Section]:
    """One section, after the packages; none where nothing was compared."""
    lines = [f"- {diff.variant}: {diff.before.packages} → {diff.after.packages}" for diff in context.diffs]
    return [Section("count", rank=60, title="Installed packages", markdown="\n".join(lines))] if lines else []
