"""Corners of the configuration, of texts and of predecessors that were wrong once."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

import pytest

from relman.errors import ConfigError
from relman.lifecycle import configure
from relman.manager import Plugins
from relman.plugin import Slot, Table, hookimpl
from relman.settings import Secret
from tests.test_announce import path_of
from tests.test_config import BASE, BUILT, STABLE, faults
from tests.test_config_references import PROMOTED, SHARED, TOLD_APART
from tests.test_manager import GOOD
from tests.test_resolve import recorded, resolve, world  # noqa: F401


class Smoke(Table):
    argv: tuple[str, ...]
    token: Secret | None = None


class Composed:
    @hookimpl
    def relman_settings(self) -> list[Slot]:
        return [Slot("gate", "smoke", Smoke)]


def gates(folder: Path, text: str) -> object:
    found = Plugins()
    found.register(Composed(), "composed")
    (folder / "relman.toml").write_text(BASE + BUILT + f"gates = [{text}]\n")
    return configure(found, folder / "relman.toml", folder)


def test_a_gates_secret_is_named_by_a_variable_and_neither_refused_nor_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSED_TOKEN", "composed-secret")
    gates(tmp_path, '{ type = "smoke", argv = ["x"], token = { env = "COMPOSED_TOKEN" } }')


def test_a_gates_secret_that_is_written_out_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        gates(tmp_path, '{ type = "smoke", argv = ["x"], token = "composed-secret" }')
    assert not any("composed-secret" in line for line in caught.value.problems)


def test_a_gate_by_its_bare_name_lacks_what_its_table_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        gates(tmp_path, '"smoke"')


def test_a_streams_prefix_of_another_type_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    faults(tmp_path, BASE + BUILT + 'prefix = ["a"]\n')


def test_a_path_that_is_no_template_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError):
        path_of("news/{{ version")


def test_a_suffix_that_is_optional_tells_nobody_apart(tmp_path: Path) -> None:
    faults(tmp_path, TOLD_APART.replace('["testing{suffix}"]', '["testing[{suffix}]"]') + SHARED)


def test_the_registrys_own_prefix_written_at_a_stream_is_the_same_place(tmp_path: Path) -> None:
    faults(tmp_path, BASE + PROMOTED.replace('["stable"]', '["testing"]') + 'prefix = "ghcr.io/acme/"\n')


def test_a_wrong_prefix_is_not_blamed_on_the_variants(tmp_path: Path) -> None:
    assert len(faults(tmp_path, BASE.replace("ghcr.io/acme", "acme"))) == 1


def test_a_variable_that_is_not_set_is_one_fault(tmp_path: Path) -> None:
    assert len(faults(tmp_path, BASE.replace('"ghcr.io/acme"', '{ env = "COMPOSED_UNSET" }'))) == 1


@pytest.mark.parametrize("new", ['"stable-{major}"', '["stable-{today}", "stable-{major}"]'])
def test_a_new_version_without_a_day_is_one_fault(new: str, tmp_path: Path) -> None:
    assert len(faults(tmp_path, BASE + STABLE + f'from = "testing"\nnew_version = {new}\n')) == 1


def test_variants_without_names_have_not_the_same_name(tmp_path: Path) -> None:
    found = faults(tmp_path, BASE + '[[variants]]\nrepository = "a"\n[[variants]]\nrepository = "b"\n')
    assert not any("`None`" in line for line in found), found


@pytest.mark.parametrize("text", ['name = ["b"]\n', 'name = "b"\nrepository = ["b"]\n'])
def test_a_variants_name_of_another_type_is_one_fault(text: str, tmp_path: Path) -> None:
    assert len(faults(tmp_path, BASE + f"[[variants]]\n{text}")) == 1


def test_without_a_registry_a_streams_own_prefix_checks_the_repositories(tmp_path: Path) -> None:
    text = BASE.replace('[registry]\nprefix = "ghcr.io/acme"\n', "").replace('name = "os"', 'name = "OS"')
    faults(tmp_path, text + 'prefix = "ghcr.io/acme"\n')


@pytest.mark.parametrize("filter", ["md", "cell", "code", "summary", "html", "text"])
def test_the_escaping_filters_do_not_say_none_either(filter: str) -> None:
    from relman.render import Templates

    assert "None" not in Templates().inline(f"{{{{ x | {filter} }}}}", {"x": None})


def test_the_origin_of_two_plugins_of_one_name_is_that_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for n in ("one", "two"):
        (tmp_path / f"composed_origin_{n}.py").write_text(GOOD)
        info = tmp_path / f"composed_{n}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: composed-{n}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[relman]\nsame = composed_origin_{n}\n")
    points = sorted((p for d in distributions(path=[str(tmp_path)]) for p in d.entry_points), key=lambda p: p.value)
    assert Plugins(points).origin("same") == "composed-one 1"


def test_from_a_record_of_which_no_variant_has_an_image_is_an_error_or_said(world) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    from relman.errors import NotFound

    with pytest.raises(NotFound):
        resolve(world, recorded("stable-20250101", {"os": None, "os-dx": None}), since="stable-20250101")
