"""The modules that packages belong to (rpm's `MODULARITYLABEL`), where a source has them in ``extras["modules"]``.

A build of another stream of a module may carry the same version: then the label alone tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from relman.model.contents import Contents, Identity


class Modules:
    """The labels of both sides. A package that one side gives no label for is not known to have changed."""

    def __init__(self, before: Contents, after: Contents) -> None:
        self._before, self._after = _labels(before), _labels(after)
        self.notes: list[str] = []
        """One for each package that `changed` found."""

    @property
    def on_both_sides(self) -> bool:
        """Whether both sides give any."""
        return bool(self._before and self._after)

    def changed(self, identity: Identity) -> bool:
        """Whether ``identity`` was built for another module or stream, which is noted."""
        key = str(identity)
        old, new = self._before.get(key), self._after.get(key)
        if old is None or new is None or old == new:
            return False
        self.notes.append(f"`{identity}` is of the module `{new}`, and was of `{old}`, at the same version.")
        return True


def _labels(contents: Contents) -> Mapping[str, str]:
    given = contents.extras.get("modules")
    if not isinstance(given, Mapping):
        return {}
    return {key: label for key, label in given.items() if isinstance(key, str) and isinstance(label, str)}
