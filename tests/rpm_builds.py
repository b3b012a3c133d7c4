"""Two builds of a small composed system, as rpmbuild and rpm make them: changelogs, configuration, and a rename."""

from __future__ import annotations

import subprocess
from pathlib import Path

# The second build: `composed-ssl` went on with two fixes, `composed-new` took the place of `composed-old`.
_SSL = """\
Name: composed-ssl
Version: {version}
Release: 1
Summary: composed
License: MIT
BuildArch: noarch
%description
Composed.
%package libs
Summary: composed
%description libs
Composed.
%install
mkdir -p %{{buildroot}}/etc %{{buildroot}}/usr/lib/composed
echo {version} > %{{buildroot}}/etc/composed.conf
echo {version} > %{{buildroot}}/usr/lib/composed/ssl
echo same > %{{buildroot}}/usr/lib/composed/same
%files
%config(noreplace) /etc/composed.conf
/usr/lib/composed/same
%files libs
/usr/lib/composed/ssl
%changelog
{changelog}"""
_OLD_ENTRY = "* Mon Jun 01 2026 Composed <composed@example.org> - 1.0-1\n- Fix CVE-2020-0001\n"
_NEW_ENTRY = """\
* Tue Jun 16 2026 Composed <composed@example.org> - 1.10-1
- Update to 1.10
- Fix an overrun in the
  parser (CVE-2026-1234)
- Fix CVE-2026-999
* Mon Jun 15 2026 Somebody <somebody@example.org> - 1.9-1
- Fix CVE-2026-20000 and, again, cve-2026-1234

"""
_PLAIN = """\
Name: {name}
Version: {version}
Release: 1
Summary: composed
License: MIT
BuildArch: noarch
{more}%description
Composed.
%files
"""


def two_builds(folder: Path) -> tuple[Path, Path]:
    """The folders of the databases of both builds."""
    one = [
        _SSL.format(version="1.9", changelog=_OLD_ENTRY),
        _PLAIN.format(name="composed-old", version="1.0", more=""),
        _PLAIN.format(name="composed-same", version="1.0", more=""),
    ]
    two = [
        _SSL.format(version="1.10", changelog=_NEW_ENTRY + _OLD_ENTRY),
        _PLAIN.format(name="composed-new", version="2.0", more="Obsoletes: composed-old < 2.0\n"),
        _PLAIN.format(name="composed-same", version="1.0", more=""),
    ]
    return _installed(folder / "one", one), _installed(folder / "two", two)


def _installed(folder: Path, specs: list[str]) -> Path:
    folder.mkdir()
    for number, spec in enumerate(specs):
        file = folder / f"{number}.spec"
        file.write_text(spec)
        options = [f"--define=_topdir {folder}", "--define=_changelog_trimtime 0", "--define=_changelog_trimage 0"]
        _run("rpmbuild", "-bb", "--quiet", *options, str(file))
    packages = sorted(map(str, folder.glob("RPMS/*/*.rpm")))
    _run("rpm", f"--dbpath={folder / 'db'}", "-i", "--justdb", "--nodeps", "--noscripts", *packages)
    return folder / "db"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
