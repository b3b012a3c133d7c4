"""`relman cache`: the lists of contents that earlier runs read."""

from __future__ import annotations

import click

from relman.cache import LIMIT, ContentsCache, Usage, cache_folder
from relman.cli.app import say
from relman.cli.options import common_options, format_option
from relman.cli.output import document, table
from relman.documents.lists import CacheDocument, UsageDocument
from relman.errors import Unequipped


@click.group(invoke_without_command=True)
@format_option("text", "json")
@common_options
@click.pass_context
def cache(context: click.Context, format_: str) -> None:
    """Show where lists of contents are kept, how many, and how large they are."""
    if context.invoked_subcommand:
        return
    kept = _cache()
    found = kept.usage()
    if format_ == "json":
        document(_document(kept, found))
        return
    click.echo(table([("where", str(kept.folder)), ("lists", f"{found.entries:,}"), ("size", _size(found))]))


@cache.command()
@format_option("text", "json")
@common_options
def clear(format_: str) -> None:
    """Remove them all. Nothing is lost: they are read again where they are wanted."""
    kept = _cache()
    try:
        gone = kept.clear()
    except OSError as error:
        raise Unequipped(f"cannot clear the cache `{kept.folder}`: {error.strerror or error}") from error
    if format_ == "json":
        after = _document(kept, kept.usage())
        after["removed"] = UsageDocument(entries=gone.entries, size=gone.size)
        document(after)
    else:
        say(f"removed {gone.entries:,} lists, {gone.size / 1_000_000:.1f} MB, from `{kept.folder}`")


def _cache() -> ContentsCache:
    folder = cache_folder()
    if folder is None:
        raise Unequipped("there is no place for a cache: HOME is not set", hint="set RELMAN_CACHE to a folder")
    return ContentsCache(folder)


def _document(kept: ContentsCache, found: Usage) -> CacheDocument:
    return CacheDocument(
        schema="relman.cache/1", folder=str(kept.folder), entries=found.entries, size=found.size, limit=LIMIT
    )


def _size(found: Usage) -> str:
    return f"{found.size / 1_000_000:.1f} of {LIMIT / 1_000_000:.0f} MB"
