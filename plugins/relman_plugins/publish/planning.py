"""The action of a forge's release, as it stands in a plan, and read back from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

import msgspec

from relman.model.plan import Action, Stage, action_key
from relman.plugin import ActionsContext, ConfigError, Malformed, RelmanError

from .assets import NOTES, Asset, assets_of, plan_assets
from .table import ForgeSettings

BANNER = 300
"""Characters that are kept free for the sentence that a withdrawn release begins with."""
WITHDRAWN = " (withdrawn)"


def marker(key: str) -> str:
    """By what a release is known for ours, wherever and by whomever it is looked for. Readers do not see it."""
    return f"<!-- relman:{key} -->"


def plan_release(
    context: ActionsContext,
    settings: ForgeSettings,
    *,
    limit: int | None,
    measure: Callable[[str], int] = len,
    unit: str = "characters",
    flags: Mapping[str, object],
) -> Action:
    """A release of the version at hand: its text, fitted to what the forge takes, its assets, and the ``flags``.

    ``unit`` is how ``measure`` counts, for people.

    Raises `ConfigError` for a text that cannot be made to fit, for assets that are too large, for what is no tag.
    """
    name = settings.name or settings.type
    key = action_key(context.release.id, f"{settings.type}:{name}")
    ends = f"\n\n{marker(key)}\n"
    tag = settings.tag_of(context.release.version)
    room = settings.limit or limit
    free = None if room is None else room - measure(ends) - BANNER
    full = settings.download(tag, NOTES)
    whole = context.renderer.notes("markdown")
    if settings.template:
        text = context.renderer.post(settings.template, format="markdown", limit=free, measure=measure, url=full)
    elif free is None:
        text = whole
    else:
        try:
            text = context.renderer.notes("markdown", limit=free, measure=measure, full=full)
        except RelmanError as error:
            raise ConfigError(
                f"channel `{name}` takes {room:,} in a release's text, and the notes measure {measure(whole):,}: "
                f"{error.message}"
            ) from error
    planned = plan_assets(context, settings, notes=text != whole)
    payload: dict[str, object] = {
        "tag": tag,
        "title": " ".join(context.changelog.title.split()) or tag,
        "text": f"{text.rstrip()}{ends}",
        "target": settings.target or _revision(context, settings),
        "assets": [asset.as_json() for asset in planned.assets],
        **flags,
    }
    if room is not None:
        payload["measured"] = {"size": measure(str(payload["text"])), "limit": room, "by": unit}
    if planned.missing:
        payload["missing"] = list(planned.missing)
    return Action(
        kind=settings.type,
        stage=Stage.PUBLISH,
        key=key,
        target=f"{settings.type}:{name}",
        channel=name,
        required=settings.required,
        payload=payload,
    )


def _revision(context: ActionsContext, settings: ForgeSettings) -> str | None:
    """The commit that all images were built from, where they were built from this repository."""
    revisions = {candidate.revision for candidate in context.release.candidates}
    home = (context.changelog.repository_url or "").rstrip("/").removesuffix(".git")
    return revisions.pop() if len(revisions) == 1 and home.lower() == settings.home.lower() else None


class Wanted(msgspec.Struct, frozen=True):
    """A release as the plan wants it."""

    tag: str
    title: str
    text: str
    target: str | None
    marker: str
    assets: tuple[Asset, ...]
    draft: bool = False
    prerelease: bool = False
    latest: bool = False
    discussion: str | None = None

    @classmethod
    def of(cls, action: Action) -> Self:
        """Read from a plan. Raises `Malformed` for one whose text would not be known for ours again."""
        mark = marker(action.key)
        text = action.text("text")
        if mark not in text:
            raise Malformed(f"the text of `{action.target}` in its plan lacks `{mark}`")
        target, discussion = action.payload.get("target"), action.payload.get("discussion_category")
        return cls(
            action.text("tag"),
            action.text("title"),
            text,
            target if isinstance(target, str) else None,
            mark,
            assets_of(action),
            draft=action.payload.get("draft") is True,
            prerelease=action.payload.get("prerelease") is True,
            latest=action.payload.get("latest") is True,
            discussion=discussion if isinstance(discussion, str) else None,
        )


def described(action: Action, forge: str) -> str:
    """`publish stable-20260706 on GitHub (7,616 characters, 3 files of 12,345 bytes)`, with what is missing."""
    wanted = Wanted.of(action)
    size = sum(asset.size for asset in wanted.assets)
    count = len(wanted.assets)
    files = f", {count} {'file' if count == 1 else 'files'} of {size:,} bytes" if count else ""
    kind = "draft" if wanted.draft else "publish"
    marks = [word for word, on in (("pre-release", wanted.prerelease), ("latest", wanted.latest)) if on]
    missing = action.payload.get("missing")
    lacks = f"; no SBOM of {', '.join(map(str, missing))}" if isinstance(missing, list | tuple) and missing else ""
    size_of_text = f"{len(wanted.text):,} characters"
    return f"{kind} {', '.join((f'{wanted.tag} on {forge}', *marks))} ({size_of_text}{files}{lacks})"


def same_text(one: str, other: str) -> bool:
    """Whether two texts say the same after a forge's own changes: line ends, and space at the end."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n"))


def withdrawn_text(text: str, day: str) -> str:
    """``text`` under a sentence that says that it no longer holds; as it is where that stands there already."""
    begins = "> [!CAUTION]\n> **This release was withdrawn**"
    return text if _plain(text).startswith(begins) else f"{begins} on {day}.\n\n{text}"


def withdrawn_title(title: str) -> str:
    """``title``, marked."""
    return title if title.endswith(WITHDRAWN) else f"{title}{WITHDRAWN}"
