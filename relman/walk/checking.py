"""What people wrote, checked before a release needs it: templates, highlights, known issues."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from relman.config import Config
from relman.errors import ConfigError, NotFound, RelmanError, Unequipped
from relman.git import Checkout, checkout_at
from relman.handwritten import Fragment, KnownIssue, read_fragment, read_known_issue
from relman.handwritten.files import LIMIT, is_handwritten, without_head
from relman.handwritten.history import deleted_open
from relman.model.check import Checked, Fault
from relman.render import FORMATS, NotesRenderer, Templates, render_title
from relman.render.markdown import problems
from relman.render.sample import sample

_WHERE = re.compile(r"template `([^`]+)`, line ([0-9]+): (.*)", re.DOTALL)


def check(config: Config, templates: Templates) -> Checked:
    """Everything but relman.toml itself, which is checked when it is read."""
    looked_at: list[str] = []
    faults: list[Fault] = []
    faults += _templates(config, templates, looked_at)
    faults += _channel_templates(config, templates)
    if config.checkout and (config.notes.highlights or config.notes.known_issues):
        try:
            with checkout_at(config.checkout) as repository:
                faults += _handwritten(config, repository, looked_at)
        except (NotFound, Unequipped) as error:
            faults.append(Fault(config.where, None, error.message, error.hint))
    return Checked(tuple(looked_at), tuple(faults))


# ----------------------------------------------------------------------------------------------------- templates


def _templates(config: Config, templates: Templates, looked_at: list[str]) -> Iterator[Fault]:
    folder = config.notes.templates
    own = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.j2")) if folder else []
    if own:
        looked_at.append(_count(len(own), "template"))
    unreadable: list[Fault] = []
    for name in own:
        with _faults(name, unreadable):
            templates.check(name)
    yield from unreadable
    stream = next(iter(config.streams), "stable")
    made = sample(config.project, stream, tuple(variant.name for variant in config.variants) or ("os",))
    values = {"version": made.version, "previous": made.previous, "project": made.project, "stream": stream}
    found: list[Fault] = []
    with _faults(config.where, found):
        render_title(templates, config.notes.title, **values, major=made.major, revision="a" * 40)
    if own and not unreadable:
        renderer = NotesRenderer(templates, made, {"authors": config.notes.authors, "id": "0" * 16})
        for draw in (*(partial(renderer.notes, format) for format in FORMATS), partial(renderer.render, "post.md.j2")):
            with _faults("the templates", found):
                draw()
    yield from dict.fromkeys(found)


def _channel_templates(config: Config, templates: Templates) -> Iterator[Fault]:
    for channel in config.channels:
        name = channel.table.get("template")
        if isinstance(name, str) and name not in templates.names:
            yield Fault(config.where, None, f"channel `{channel.name}`: there is no template `{name}`")


@contextmanager
def _faults(file: str, found: list[Fault]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        match = _WHERE.fullmatch(error.message)
        if match and match[1] != "<template>":
            found.append(Fault(match[1], int(match[2]), match[3], error.hint))
        else:
            found.append(Fault(file, None, error.message, error.hint))


# --------------------------------------------------------------------------------------------------- handwritten


def _handwritten(config: Config, repository: Checkout, looked_at: list[str]) -> Iterator[Fault]:
    if folder := config.notes.highlights:
        files = _files(repository, folder)
        looked_at.append(_count(len(files), "highlight"))
        yield from _each(files, read_fragment, lambda fragment: _unknown_in_fragment(config, fragment))
    if folder := config.notes.known_issues:
        files = _files(repository, folder)
        looked_at.append(_count(len(files), "known issue"))
        yield from _each(files, read_known_issue, lambda issue: _unknown_in_issue(config, issue))
        try:
            gone = deleted_open(repository, folder)
        except RelmanError:
            return  # a file that cannot be read, at this revision or before it: that is said above, or mended already
        for issue in gone:
            if not (repository.work_tree and (repository.work_tree / issue.name).exists()):
                yield Fault(
                    issue.name,
                    None,
                    f"known issue `{issue.title}` was deleted without being declared fixed: the notes still carry it",
                    'put the file back with `fixed-in = "VERSION"`, or with `withdrawn = "WHY"`',
                )


def _files(repository: Checkout, folder: str) -> Mapping[str, bytes]:
    """The files as they lie in the work tree, or, in a bare repository, as its `HEAD` has them."""
    if repository.work_tree is None:
        found = repository.files("HEAD", folder)
        return {
            f"{folder}/{name}": repository.content(id, limit=LIMIT + 1)
            for name, id in sorted(found.items())
            if is_handwritten(name)
        }
    place = repository.work_tree / folder
    paths = sorted(place.iterdir()) if place.is_dir() else []
    plain = [path for path in paths if is_handwritten(path.name) and path.is_file() and not path.is_symlink()]
    return {f"{folder}/{path.name}": _bounded(path) for path in plain}


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LIMIT + 1)


def _each(
    files: Mapping[str, bytes],
    read: Callable[[str, bytes], Fragment | KnownIssue],
    further: Callable[[Fragment | KnownIssue], Iterator[str]],
) -> Iterator[Fault]:
    for name, content in files.items():
        try:
            found = read(name, content)
        except RelmanError as error:
            yield Fault(name, None, error.message, error.hint)
            continue
        for problem in problems(without_head(content.decode("utf-8-sig").replace("\r\n", "\n"))):
            line, _, message = problem.removeprefix("line ").partition(": ")
            yield Fault(name, int(line), message)
        for message in further(found):
            yield Fault(name, None, message)


def _unknown_in_fragment(config: Config, found: Fragment | KnownIssue) -> Iterator[str]:
    assert isinstance(found, Fragment)
    yield from _unknown("stream", found.streams, config.streams)
    yield from _unknown("variant", found.variants, {variant.name for variant in config.variants})


def _unknown_in_issue(config: Config, found: Fragment | KnownIssue) -> Iterator[str]:
    assert isinstance(found, KnownIssue)
    known = {name for variant in config.variants for name in (variant.name, *variant.traits)}
    yield from _unknown("variant or trait", found.affects, known)


def _unknown(what: str, named: tuple[str, ...], known: Mapping[str, object] | set[str]) -> Iterator[str]:
    for name in named:
        if name not in known:
            yield f"there is no {what} `{name}`; there are {', '.join(f'`{each}`' for each in sorted(known))}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
