"""Before the first write: what a plan needs of this machine and of the registries is asked, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from relman.errors import Unequipped
from relman.http import Client
from relman.lifecycle import Lifecycle
from relman.model.oci import Descriptor, Digest, Repository, parse_repository
from relman.model.plan import Plan
from relman.model.record import RecordState
from relman.registry.auth import granted_by
from relman.registry.credentials import CredentialStore
from relman.registry.distribution import Distribution
from relman.testing import MemoryRegistry, put_image
from relman.walk.probing import Ability, require_able
from tests.servers import Front
from tests.test_rollback import quietly
from tests.test_statement import CONFIG
from tests.walking import World

IDENTITY = '\n[signature]\nidentity = "ci@acme.example"\nissuer = "https://issuer.acme.example"\n'


class Guarded(MemoryRegistry):
    """A registry that is asked for referrers, and may let nobody push to some repositories."""

    def __init__(self) -> None:
        super().__init__(referrers_api=False)
        self.shut: set[str] = set()
        self.pushers: list[str] = []
        self.listed: list[str] = []
        self.known = False

    def require_push(self, repository: Repository) -> None:
        self.pushers.append(repository.name)
        if repository.name in self.shut:
            raise Unequipped(f"`{repository}` lets nobody push", hint="log in")

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        self.listed.append(repository.name)
        self.known = True
        return super().referrers(repository, digest)

    def lists_referrers(self, repository: Repository) -> bool | None:
        return super().lists_referrers(repository) if self.known else None


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, Guarded())
    found.configure(CONFIG)
    found.push("os", "testing-20260601", "stable", "stable-20260602", day=date(2026, 6, 1))
    found.push("os", "testing-20260705", "testing", day=date(2026, 7, 5), n="new")
    return found


def guarded(world: World) -> Guarded:
    assert isinstance(world.registry, Guarded)
    return world.registry


def planned(world: World) -> Plan:
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))
    world.memory.writes.clear()
    guarded(world).listed.clear()
    guarded(world).known = False
    return plan


def able(world: World, plan: Plan) -> tuple[str, ...]:
    def said(walk: Lifecycle) -> tuple[str, ...]:
        return tuple(f"{one.how}: {one.problem.message}" if one.problem else one.how for one in walk.abilities(plan))

    with world.walk() as walk:
        return said(walk)


def test_a_plan_that_stays_in_its_repository_asks_for_leave_to_push_and_nothing_else(world: World) -> None:
    plan = planned(world)

    assert able(world, plan) == ()
    assert (guarded(world).pushers, guarded(world).listed) == (["acme/os"], [])


def test_what_lets_nobody_push_is_7_before_the_first_write_and_stands_in_the_plan(world: World) -> None:
    guarded(world).shut.add("acme/os")
    plan = planned(world)

    assert able(world, plan) == ("writing to `ghcr.io/acme/os`: `ghcr.io/acme/os` lets nobody push",)
    with world.walk() as walk, pytest.raises(Unequipped, match="lets nobody push") as caught:
        walk.apply(plan, quietly)

    assert (caught.value.exit_code, world.memory.writes, world.ledger.records()) == (7, [], ())


@pytest.mark.parametrize(
    ("prefix", "skopeo", "said"),
    [
        (
            "ghcr.io/acme/released",
            "",
            (
                "layers are mounted within `ghcr.io`, or copied by relman where it does not mount",
                "`ghcr.io` lists what is attached under fallback tags",
            ),
        ),
        (
            "quay.io/acme",
            "skopeo version 1.9.3",
            (
                "skopeo 1.9.3 copies from `ghcr.io` to `quay.io`, and relman what that gives up on",
                "`quay.io` lists what is attached under fallback tags",
            ),
        ),
        (
            "quay.io/acme",
            None,
            (
                "there is no skopeo: relman copies from `ghcr.io` to `quay.io` itself",
                "`quay.io` lists what is attached under fallback tags",
            ),
        ),
    ],
)
def test_a_plan_says_how_it_would_copy_and_asks_each_registry_once(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prefix: str,
    skopeo: str | None,
    said: tuple[str, ...],
) -> None:
    world.configure(f'{CONFIG}prefix = "{prefix}"\n')
    programs(tmp_path, monkeypatch, skopeo=skopeo)
    plan = planned(world)

    assert able(world, plan) == said
    assert len(guarded(world).listed) == 1


def programs(folder: Path, monkeypatch: pytest.MonkeyPatch, **named: str | None) -> None:
    """No programs but these, which say one thing."""
    from relman.registry import skopeo

    skopeo.version.cache_clear()
    own = folder / "programs"
    own.mkdir()
    for name, text in named.items():
        if text is not None:
            (own / name).write_text(f"#!/bin/sh\necho '{text}'\n")
            (own / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(own))


@pytest.mark.parametrize(
    ("cosign", "said"),
    [
        (None, "a signature by an identity is verified by cosign, which is not installed"),
        ("--key", "the installed cosign cannot be told which layout"),
    ],
)
def test_identities_without_a_cosign_that_can_verify_them_are_7_before_the_first_write(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cosign: str | None, said: str
) -> None:
    world.configure(CONFIG.replace("[streams.stable]", f"{IDENTITY}\n[streams.stable]"))
    programs(tmp_path, monkeypatch, cosign=cosign)
    plan = planned(world)

    with world.walk() as walk, pytest.raises(Unequipped, match=said):
        walk.apply(plan, quietly)

    assert (world.memory.writes, world.ledger.records()) == ([], ())


def test_what_is_behind_a_release_is_not_asked_after_again(world: World) -> None:
    plan = planned(world)
    with world.walk() as walk:
        record, _ = walk.apply(plan, quietly)
    assert record.state is RecordState.FINISHED
    guarded(world).shut.add("acme/os")

    with world.walk() as walk:
        assert walk.abilities(plan, record.receipts) == ()


def test_several_problems_are_told_at_once() -> None:
    one, two = Unequipped("no cosign", hint="install it"), Unequipped("no key")

    with pytest.raises(Unequipped) as caught:
        require_able([Ability("fine"), Ability("a", one), Ability("b", two)])

    assert (caught.value.message, caught.value.hint) == ("no cosign", "install it; then also: no key")


# ------------------------------------------------------------------------------------------------- tokens


@pytest.fixture
def front(docker_registry: str) -> Iterator[Front]:
    with Front(docker_registry, users={"ada": "composed"}) as front:
        front.tells = True
        yield front


def test_a_token_that_says_that_it_cannot_push_is_refused_and_one_that_can_serves_the_first_write(
    front: Front, docker_registry: str, tmp_path: Path
) -> None:
    repository = parse_repository(f"{front.host}/probing/os")
    (tmp_path / "auth.json").write_text(f'{{"auths": {{"{front.host}": {{"auth": "YWRhOmNvbXBvc2Vk"}}}}}}')
    with Client() as client:
        put_image(Distribution(client), replace(repository, registry=docker_registry), tags=["a"])
        stranger = Distribution(client, store=CredentialStore({"HOME": str(tmp_path / "nobody")}))
        stranger.resolve(repository.tag("a"))
        with pytest.raises(Unequipped, match="gives a token that cannot push"):
            stranger.require_push(repository)

        ada = Distribution(client, store=CredentialStore({"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}))
        manifest = ada.manifest(repository.tag("a"))
        ada.require_push(repository)
        asked = len(front.token_requests)
        ada.put_manifest(repository, manifest.content, manifest.descriptor.media_type, tag="b")

    assert len(front.token_requests) == asked
    assert [line for line in (one.line for one in front.asked) if line.startswith("P")] == [
        f"PUT /v2/{repository.name}/manifests/b"
    ]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Basic YTpi", "Bearer opaque", "Bearer a.b.c", "Bearer a.W10.c", "Bearer a.eyJhY2Nlc3MiOjF9.c"],
)
def test_a_token_that_says_nothing_promises_and_refuses_nothing(authorization: str | None) -> None:
    assert granted_by(authorization) is None
