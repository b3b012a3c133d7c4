"""What people write for the notes, a Markdown file each: highlights, and known issues. Read from git, at a revision."""

from relman.handwritten.files import Fragment, KnownIssue, read_fragment, read_known_issue
from relman.handwritten.history import KnownIssues, dropped_issues, fragments_between, known_issues_at

__all__ = [
    "Fragment",
    "KnownIssue",
    "KnownIssues",
    "dropped_issues",
    "fragments_between",
    "known_issues_at",
    "read_fragment",
    "read_known_issue",
]
