"""compose: the security fixes of all images become one list, and what nobody can tell is said."""

from __future__ import annotations

from collections.abc import Sequence

from relman.model.changelog import Fix
from relman.walk.compared import Compared
from relman.walk.compose import names_of


def security_of(compared: Sequence[Compared]) -> tuple[tuple[Fix, ...] | None, tuple[str, ...]]:
    """The fixes of all images, ranked, and what has to be said of them.

    `None` where no source can tell, and where those that can name none but others could not tell: unknown is not none.
    """
    judged = [one for one in compared if one.diff is not None]
    silent = [one for one in judged if one.details is None or one.details.security is None]
    packages: dict[str, set[str]] = {}
    texts: dict[str, str] = {}
    notes: dict[str, None] = {}
    for one in judged:
        if one.details is not None and one.details.security is not None:
            notes.update(dict.fromkeys(one.details.changelog_notes))
            for fix in one.details.security:
                texts.setdefault(fix.id, fix.text)
                packages.setdefault(fix.id, set()).update(fix.packages)
    if not judged or (silent and not texts):
        return None, ()
    fixes = (Fix(id, tuple(sorted(packages[id])), text) for id, text in texts.items())
    if silent:
        names = names_of(silent, compared)
        notes[f"{names}: no source can tell security fixes; those listed are of the other images."] = None
    return tuple(sorted(fixes, key=lambda fix: fix.rank)), tuple(notes)
