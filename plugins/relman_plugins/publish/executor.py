"""Carries out the action of a release on GitHub, Forgejo and Gitea."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from typing import Literal

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import ChannelReader, ChannelWriter, Malformed, NotFound, NotShown

from .planning import Wanted, described, same_text
from .releases import Forge, Found, Publishing, foreign, missing, ours


class ReleaseExecutor(ABC):
    """Publishes releases. Subclasses say of which forge: ``kind``, ``name`` and ``forge``."""

    kind: str
    name: str
    scope: Literal["channel"] = "channel"

    @abstractmethod
    def forge(self, reader: ChannelReader) -> Forge:
        """The forge, as the channel's table names it."""

    def describe(self, action: Action) -> str:
        """`publish stable-20260706 on GitHub (7,616 characters, 3 files of 12,345 bytes)`."""
        return described(action, self.name)

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Adopted where our release is there with all its files; `None` for less than that, which `apply` completes."""
        forge, wanted = self.forge(reader), Wanted.of(action)
        done = []
        for one in ours(forge, wanted):
            done += [one] if (not one.draft or wanted.draft) and not self._lacks(forge, one, wanted) else []
        if not done:
            return None
        return self._receipt(action, forge, min(done, key=lambda one: (one.draft, one.id)), ReceiptState.ADOPTED)

    def _lacks(self, forge: Forge, release: Found, wanted: Wanted) -> bool:
        return bool(missing(forge.files(release), wanted.assets))

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Draft, files, comparison, publication: whatever of it is left."""
        forge = self.forge(writer)
        release = Publishing(forge, Wanted.of(action), writer).converge()
        return self._receipt(action, forge, release, ReceiptState.DONE)

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The forge shows our text under our title, with our files."""
        forge, wanted = self.forge(reader), Wanted.of(action)
        release = self._of(forge, receipt)
        if release is None:
            raise NotFound(f"{self.name} has no release `{wanted.tag}` any more")
        if release.draft and not wanted.draft:
            raise NotShown(f"{self.name} shows `{wanted.tag}` as a draft")
        if release.tag != wanted.tag:
            raise Malformed(f"the release `{wanted.tag}` has the tag `{release.tag[:100]}` now")
        if release.title != wanted.title or not same_text(release.text, wanted.text):
            what = "title" if release.title != wanted.title else "text"
            raise Malformed(f"the {what} of `{wanted.tag}` on {self.name} is not what was published")
        if left := missing(forge.files(release), wanted.assets):
            names = ", ".join(f"`{asset.name}`" for asset in left)
            raise NotShown(f"`{wanted.tag}` on {self.name} has no {names}, or another file of that name")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Text, title and files as they are planned now; of what is immutable, text and title."""
        forge = self.forge(writer)
        publishing = Publishing(forge, Wanted.of(action), writer)
        release, left = publishing.edited(self._mine(forge, receipt, publishing.wanted))
        return self._receipt(action, forge, release, ReceiptState.DONE, left)

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Mark it as withdrawn: readers may have come by it. A draft is deleted."""
        forge = self.forge(writer)
        publishing = Publishing(forge, Wanted.of(action), writer)
        held = self._mine(forge, receipt, publishing.wanted)
        release, done = publishing.withdrawn(held, f"{writer.now:%Y-%m-%d}")
        if release is None:
            return Receipt.of(action, ReceiptState.DONE, remote_id=receipt.remote_id, detail=done)
        return self._receipt(action, forge, release, ReceiptState.DONE, done)

    def _mine(self, forge: Forge, receipt: Receipt, wanted: Wanted) -> Found:
        release = self._of(forge, receipt)
        if release is None:
            raise NotFound(f"{self.name} has no release `{wanted.tag}` any more: there is nothing to change")
        if wanted.marker not in release.text:
            raise foreign(forge, release)
        return release

    def _of(self, forge: Forge, receipt: Receipt) -> Found | None:
        if not re.fullmatch(r"[0-9]{1,20}", receipt.remote_id or ""):
            raise Malformed(f"the receipt of `{receipt.action}` names no release")
        document = forge.api.get(f"{forge.path}/{receipt.remote_id}")
        return None if document is None else Found.read(document)

    def _receipt(
        self, action: Action, forge: Forge, release: Found, state: ReceiptState, detail: str | None = None
    ) -> Receipt:
        """The address is made, not taken from the answer: so it can lead nowhere else."""
        url = None if release.draft else forge.page(release.tag)
        sha256 = hashlib.sha256(action.text("text").encode()).hexdigest()
        return Receipt.of(action, state, remote_id=str(release.id), url=url, sha256=sha256, detail=detail)
