"""The gate `vulnerabilities`: what a scanner found in an image.

    { type = "vulnerabilities", report = "reports/{variant}.json", fail_on = "high" }

A report has to be about this digest, and to tell of something. With `{platform}` in its name, or among the arguments of
the scanner, there is one for each platform.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator

from relman.model.gates import GateResult, State
from relman.model.oci import Image, Platform, PlatformImage
from relman.model.release import Candidate
from relman.plugin import GatesContext, Malformed, NotFound, RegistryReader, Slot, hookimpl
from relman_plugins.gates.asking.placeholders import filled, in_path, per_platform, values_of
from relman_plugins.gates.asking.programs import ask_program
from relman_plugins.gates.signature.documents import read_json
from relman_plugins.gates.verdict import Closed, Verdict, closing, lines, plain, skipped
from relman_plugins.gates.vulnerabilities.judge import About, VulnerabilitiesSettings, judge
from relman_plugins.gates.vulnerabilities.report import LIMIT, Report, read_report


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "vulnerabilities", VulnerabilitiesSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed where the report is about the image and within the thresholds. `relman status` runs no scanner."""
    for rule, settings in context.asked("vulnerabilities", VulnerabilitiesSettings):
        for candidate in context.release.candidates:
            each = per_platform(*settings.argv, settings.report or "")
            platforms: tuple[Platform | None, ...] = candidate.platforms if each else (None,)
            for platform in platforms:
                if settings.argv and not context.read:
                    verdict = skipped("it runs")
                else:
                    verdict = closing(_ask, context, candidate, platform, settings)
                yield verdict.of(candidate, rule.name, platform)


def _ask(
    context: GatesContext, candidate: Candidate, platform: Platform | None, settings: VulnerabilitiesSettings
) -> Verdict:
    if settings.report:
        content, what = _file(context, candidate, platform, settings.report, "no-report")
    else:
        content, what = _scanned(context, candidate, platform, settings), "what the scanner printed"
    report = read_report(content, what)
    baseline = _baseline(context, candidate, platform, settings)
    about = _about(context.registry, candidate.image, platform, report)
    return judge(report, about, baseline, settings, context.now)


def _scanned(
    context: GatesContext, candidate: Candidate, platform: Platform | None, settings: VulnerabilitiesSettings
) -> bytes:
    command, ended = ask_program(context, candidate, platform, settings.argv, timeout=settings.timeout, keep=LIMIT)
    evidence: dict[str, object] = {"command": [plain(word, 300) for word in command], "exit": ended.code}
    if ended.code != 0:
        how = "did not end in time" if ended.code is None else f"exited with {ended.code}"
        evidence["output"] = lines(ended.said, 2000)
        code = "timeout" if ended.code is None else "scanner-failed"
        raise Closed(Verdict(State.ERROR, f"the scanner {how}", code, evidence=evidence))
    if ended.cut:
        raise Closed(Verdict(State.ERROR, "the scanner printed too much", "unreadable", evidence=evidence))
    return ended.stdout


def _baseline(
    context: GatesContext, candidate: Candidate, platform: Platform | None, settings: VulnerabilitiesSettings
) -> Report | None:
    """The report on what the candidate follows; `None` where it follows nothing, and then everything is new."""
    follows = candidate.follows
    if not settings.only_new or settings.baseline is None or follows is None:
        return None
    content, what = _file(context, candidate, platform, settings.baseline, "no-baseline")
    report = read_report(content, what)
    if settings.unbound:
        return report
    meant = {str(follows.digest)} if follows.digest else set()
    if follows.image:
        meant |= set(_about(context.registry, follows.image, platform, report).digests)
    if not report.digests & meant:
        raise Closed(Verdict(State.ERROR, f"{what} is not about what the image follows", "other-baseline"))
    return report


def _file(
    context: GatesContext, candidate: Candidate, platform: Platform | None, template: str, code: str
) -> tuple[bytes, str]:
    name = filled(template, values_of(context.release, candidate, platform), in_path)
    path = context.folder / name
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Malformed(f"`{plain(name)}` is no file")
        with path.open("rb") as file:
            return file.read(LIMIT + 1), f"`{plain(name)}`"
    except FileNotFoundError:
        needs = f"a report in `{plain(name)}`"
        raise Closed(Verdict(State.ABSENT, f"there is no `{plain(name)}`", code, needs)) from None
    except OSError as error:
        raise Malformed(f"cannot read `{plain(name)}`: {error.strerror}") from error


def _about(registry: RegistryReader, image: Image, platform: Platform | None, report: Report) -> About:
    """The digests that mean the image, or its part for ``platform``: manifests, and configurations as image ids.

    The registry is asked for those only where the report names none of the others.
    """
    part = image.on(platform) if platform else image.platforms[0]
    several = platform is None and len(image.platforms) > 1
    parts = (part,) if part else ()
    digests = [str(image.digest), *(str(one.manifest.digest) for one in parts)]
    if not report.digests & set(digests) and report.digests:
        digests += filter(None, (_config(registry, image, one) for one in parts))
    return About(tuple(dict.fromkeys(digests)), platform.architecture if platform else None, several)


def _config(registry: RegistryReader, image: Image, part: PlatformImage) -> str:
    try:
        manifest = registry.manifest(image.reference.repository.digest(part.manifest.digest))
        return str(read_json(manifest.content)["config"]["digest"])
    except NotFound:
        return ""
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"`{image.reference}` has a manifest without a configuration") from error
