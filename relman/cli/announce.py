"""`relman announce` and `relman publish`: what a release left out, or has to correct, after it was made."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import click
import msgspec

from relman import afterwards
from relman.cli.app import lifecycle, say, working
from relman.cli.apply import reporter
from relman.cli.options import common_options
from relman.cli.output import counted, printable, read_note
from relman.cli.person import agreed, require_somebody, said
from relman.errors import PartlyDone, RelmanError, UsageError
from relman.lifecycle import Lifecycle
from relman.model.plan import Stage
from relman.model.record import ReceiptState, Record
from relman.walk.announcing import TEXTS, Announcer, CannotChange, Post, left_out, standing


class _Wish(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    word: str
    stages: tuple[Stage, ...]
    channels: tuple[str, ...]
    edit: bool
    withdraw: bool
    posted: str | None
    again: bool
    skip: bool
    reason: str | None
    note: str | None
    yes: bool

    def __post_init__(self) -> None:
        chosen = [self.edit, self.withdraw, self.posted is not None, self.again, self.skip]
        if sum(chosen) > 1:
            raise UsageError("`--edit`, `--withdraw`, `--posted`, `--again` and `--skip` exclude each other")
        if self.skip != bool(self.reason):
            raise UsageError("`--skip` needs a `--reason`" if self.skip else "`--reason` goes with `--skip`")
        if self.note is not None and not self.edit:
            raise UsageError("`--note` goes with `--edit`")
        if self.posted and not _is_address(self.posted):
            raise UsageError(f"`{printable(self.posted)}` is no address of a post")


def _is_address(text: str) -> bool:
    """Whether it is an address for people: records are public, so that none with a password in it is kept."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    plain = text.isprintable() and " " not in text and "@" not in parts.netloc and len(text) <= 2000
    return plain and parts.scheme in ("https", "http") and bool(parts.hostname)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--reason", metavar="TEXT", help="Why it is left."),
        click.option("--skip", is_flag=True, help="Leave a post whose end nobody knows, or that failed."),
        click.option("--again", is_flag=True, help="Somebody looked: it is not there, and is sent once more."),
        click.option(
            "--posted", metavar="URL", is_flag=False, flag_value="", help="Somebody looked: it is there [at URL]."
        ),
        click.option("--withdraw", is_flag=True, help="Take back what was posted."),
        click.option("--note", metavar="FILE", help="With --edit, a handwritten introduction; `-` for stdin."),
        click.option("--edit", is_flag=True, help="Correct what was posted, as it would be written today."),
        click.option("--channel", "channels", metavar="NAME", multiple=True, help="Only this channel."),
        click.argument("release_name", metavar="RELEASE"),
    ):
        command = option(command)
    return command


@click.command()
@_options
@common_options
def announce(release_name: str, note: str | None, reason: str | None, **options: object) -> None:
    """Announce what RELEASE, by id or version, left out: what failed, or a channel that was added since.

    What was posted is corrected with --edit and taken back with --withdraw. A post whose end nobody knows is settled
    by you: --posted, --again or --skip.
    """
    _run(release_name, _Wish("announce", (Stage.ANNOUNCE,), note=read_note(note), reason=_said(reason), **options))  # type: ignore[arg-type]  # click gives each its type


@click.command()
@_options
@common_options
def publish(release_name: str, note: str | None, reason: str | None, **options: object) -> None:
    """Publish what RELEASE, by id or version, left out on forges. The options are those of `relman announce`."""
    _run(release_name, _Wish("publish", (Stage.PUBLISH,), note=read_note(note), reason=_said(reason), **options))  # type: ignore[arg-type]  # click gives each its type


def _said(reason: str | None) -> str | None:
    return said(reason) if reason is not None else None


def _run(name: str, wish: _Wish) -> None:
    require_somebody(wish.yes)
    with lifecycle(needs_config=True) as walk:
        record = walk.ledger.record(name)
        corrects = wish.edit or wish.withdraw or wish.posted is not None or wish.skip
        with working(f"looking at {record.version}"):
            plan, posts = afterwards.posts(
                walk, record, wish.stages, wish.channels, today=wish.edit, new=not corrects, note=wish.note
            )
        chosen = _chosen(wish, posts)
        if not chosen:
            say(f"nothing to do: {_nothing(wish, record)}")
            return
        click.echo("\n".join(_shown(walk, wish, chosen)))
        if not agreed(wish.yes, f"{_QUESTIONS[_verb(wish)]} {record.version}?"):
            return
        with afterwards.announcer(walk, record, plan, reporter(walk)) as announcer:
            failed = _acted(announcer, wish, chosen)
        _conclude(record, wish, announcer, failed)


_QUESTIONS = {
    "edit": "Correct the posts on",
    "withdraw": "Take back the posts on",
    "settle": "Note this of",
    "post": "Post this about",
}


def _verb(wish: _Wish) -> str:
    if wish.edit or wish.withdraw:
        return "edit" if wish.edit else "withdraw"
    return "settle" if wish.posted is not None or wish.skip else "post"


def _chosen(wish: _Wish, posts: Sequence[Post]) -> tuple[Post, ...]:
    if wish.edit:
        return tuple(post for post in standing(posts) if post.corrected)
    if wish.withdraw:
        return standing(posts)
    if wish.posted is None and not wish.again and not wish.skip:
        return left_out(posts)
    open_ends = tuple(
        post for post in left_out(posts) if post.receipt and (wish.skip or post.receipt.state is ReceiptState.UNKNOWN)
    )
    if len(open_ends) > 1:
        names = ", ".join(f"`{post.channel}`" for post in open_ends)
        raise UsageError(f"several posts are open: {names}", hint="say which: `--channel NAME`")
    if not open_ends:
        raise UsageError("no post is unknown", hint=f"`relman {wish.word}` without it posts what was left out")
    return open_ends


def _nothing(wish: _Wish, record: Record) -> str:
    if wish.edit:
        return f"what was posted about {record.version} says what it would say today"
    if wish.withdraw:
        return f"nothing that was posted about {record.version} is left to take back"
    return f"{record.version} left nothing out"


def _shown(walk: Lifecycle, wish: _Wish, posts: Sequence[Post]) -> list[str]:
    """Each post in a line, and what would change in its words."""
    lines: list[str] = []
    for post in posts:
        where = f" ({post.receipt.url})" if post.receipt and post.receipt.url else ""
        state = f", {post.receipt.state}: {post.receipt.detail}" if post.receipt and not post.receipt.stands else ""
        lines.append(printable(f"{walk.hands.describe(post.now or post.planned)}{where}{state}"))
        if wish.edit and post.now:
            lines += _difference(post)
    return lines


def _difference(post: Post) -> list[str]:
    assert post.now
    before, after = (_words(action.payload) for action in (post.planned, post.now))
    edited = post.receipt.edited if post.receipt else None
    whose = f"as planned; edited {edited.at:%Y-%m-%d %H:%M} by {edited.by}" if edited else "as posted"
    found = difflib.unified_diff(before, after, whose, "as it would be today", lineterm="", n=1)
    return [printable(line) for line in found] or ["  the words stay as they are; what goes with them changes"]


def _words(payload: Mapping[str, object]) -> list[str]:
    return [line for name in TEXTS for line in str(payload.get(name) or "").splitlines()]


def _acted(announcer: Announcer, wish: _Wish, posts: Sequence[Post]) -> list[tuple[Post, RelmanError]]:
    """Do what was asked for, each post by itself; what could not be done."""
    failed: list[tuple[Post, RelmanError]] = []
    if wish.edit or wish.withdraw:
        for post in posts:
            try:
                announcer.edit(post) if wish.edit else announcer.withdraw(post)
            except RelmanError as error:
                failed.append((post, error))
    elif wish.posted is not None:
        announcer.posted(posts[0], wish.posted or None)
    elif wish.skip:
        announcer.skip(posts[0], wish.reason or "")
    else:
        if wish.again:
            announcer.again(posts[0])
        announcer.post(posts)
    return failed


def _conclude(record: Record, wish: _Wish, announcer: Announcer, failed: Sequence[tuple[Post, RelmanError]]) -> None:
    for post, error in failed:
        hint = f" ({error.hint})" if error.hint else ""
        say(f"warning: `{post.planned.target}`: {printable(error.message)}{hint}")
    done = [post for post, receipt in announcer.came if receipt.settled]
    left = [(post, receipt) for post, receipt in announcer.came if not receipt.settled]
    for post, receipt in left:
        if not post.planned.required:
            say(
                f"warning: `{post.planned.target}` is {receipt.state}, and not required: "
                f"{printable(receipt.detail or '')}"
            )
    again = f"`relman {wish.word} {record.id}`"
    if failed and not done and (len(failed) == 1 or all(isinstance(error, CannotChange) for _, error in failed)):
        raise failed[0][1]
    if again_may_help := [error for _, error in failed if not isinstance(error, CannotChange)]:
        raise PartlyDone(
            f"{counted(len(again_may_help), 'post')} of `{record.version}` could not be changed",
            hint=f"the same command again tries the rest: {again}",
        )
    required = [(post, receipt) for post, receipt in left if post.planned.required]
    if required:
        post, receipt = required[0]
        hint = f"post what is left: {again}"
        if receipt.state is ReceiptState.UNKNOWN:
            hint = f"look whether it arrived; then {again} with `--posted`, `--again`, or `--skip --reason TEXT`"
        raise PartlyDone(f"`{post.planned.target}` is {receipt.state}: {receipt.detail}", hint=hint)
    say(f"{counted(len(done), 'post')} done: `relman records show {record.id}`")
