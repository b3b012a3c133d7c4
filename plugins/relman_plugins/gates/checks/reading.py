"""The checks of a commit, as each forge tells them.

Sources: GitHub REST API, "List check runs for a Git reference" and "Get the combined status for a specific reference";
GitLab, "List the statuses of a commit", which has the jobs of its pipelines, too; Forgejo and Gitea, "Get a commit's
combined status", `CommitStatusState`.
"""

from __future__ import annotations

from typing import Any

from relman_plugins.gates.asking.answers import field_of, moment_of, object_of, text_of, unreadable
from relman_plugins.gates.asking.forge import Forge, Kind
from relman_plugins.gates.checks.judge import Check, Outcome

_RUNNING = frozenset({"queued", "in_progress", "waiting", "requested", "pending"})
_CONCLUSIONS = {"success": Outcome.PASSED, "neutral": Outcome.NEUTRAL, "skipped": Outcome.SKIPPED}
_STATUSES = {"success": Outcome.PASSED, "pending": Outcome.RUNNING}
_GITLAB = {
    "success": Outcome.PASSED,
    "skipped": Outcome.SKIPPED,
    "manual": Outcome.SKIPPED,
    **dict.fromkeys(
        (
            "created",
            "waiting_for_resource",
            "preparing",
            "waiting_for_callback",
            "pending",
            "running",
            "scheduled",
            "canceling",
        ),
        Outcome.RUNNING,
    ),
}
_FORGEJO = {**_STATUSES, "warning": Outcome.NEUTRAL, "skipped": Outcome.SKIPPED}


def checks_of(forge: Forge, revision: str) -> tuple[Check, ...] | None:
    """Every run of every check; `None` where the forge does not know the commit. What it does not know is a failure."""
    match forge.kind:
        case Kind.GITHUB:
            runs = forge.items(f"commits/{revision}/check-runs", "check_runs", filter="latest")
            statuses = forge.items(f"commits/{revision}/status", "statuses")
            if runs is None or statuses is None:
                return None
            commit = _commit(statuses.first)
            return (*map(_run, runs.found), *(_status(one, commit, "state", _STATUSES) for one in statuses.found))
        case Kind.GITLAB:
            jobs = forge.items(f"repository/commits/{revision}/statuses")
            return None if jobs is None else tuple(map(_job, jobs.found))
        case Kind.FORGEJO:
            statuses = forge.items(f"commits/{revision}/status", "statuses")
            if statuses is None:
                return None
            commit = _commit(statuses.first)
            return tuple(_status(one, commit, "status", _FORGEJO) for one in statuses.found)


def _commit(first: object) -> str:
    return text_of(object_of(first, "the combined status").get("sha"))


def _run(run: dict[str, Any]) -> Check:
    status, conclusion = text_of(run.get("status")), text_of(run.get("conclusion"))
    running = status in _RUNNING
    started = text_of(run.get("started_at"))  # a run that waits has none: numbers tell which is the newest
    return Check(
        source=text_of(field_of(run, "app.slug")) or "a check",
        name=_name(run.get("name")),
        outcome=Outcome.RUNNING if running else _CONCLUSIONS.get(conclusion, Outcome.FAILED),
        said=(status if running else conclusion) or "nothing",
        at=moment_of(run.get("completed_at")) or moment_of(started),
        order=(_number(run), started),
        commit=text_of(run.get("head_sha")),
        url=text_of(run.get("html_url")),
    )


def _status(status: dict[str, Any], commit: str, key: str, outcomes: dict[str, Outcome]) -> Check:
    said = text_of(status.get(key))
    created = text_of(status.get("created_at"))
    return Check(
        source="status",
        name=_name(status.get("context")),
        outcome=outcomes.get(said, Outcome.FAILED),
        said=said or "nothing",
        at=moment_of(status.get("updated_at")) or moment_of(created),
        order=(_number(status), created),
        commit=commit,
        url=text_of(status.get("target_url")),
    )


def _job(job: dict[str, Any]) -> Check:
    said = text_of(job.get("status"))
    outcome = _GITLAB.get(said, Outcome.FAILED)
    if said == "failed" and job.get("allow_failure") is True:
        outcome, said = Outcome.NEUTRAL, "failed, which was allowed"
    created = text_of(job.get("created_at"))
    return Check(
        source="job",
        name=_name(job.get("name")),
        outcome=outcome,
        said=said or "nothing",
        at=moment_of(job.get("finished_at")) or moment_of(created),
        order=(_number(job), created),
        commit=text_of(job.get("sha")),
        url=text_of(job.get("target_url")),
    )


def _name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise unreadable("a check", "it has no name")
    return name


def _number(entry: dict[str, Any]) -> int:
    number = entry.get("id")
    return number if isinstance(number, int) else 0
