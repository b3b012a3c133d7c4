"""The traps of comparing packages, each with what a right diff shows of it. All of it is composed.

A trap is what was installed before and after; its rows are what every source that knows enough must give. What a
source gives that does not know obsoletes, vendors or modules is in ``without``; what rechunk's label gives, which knows
names and versions alone, in ``label``. Packages of several traps never share a name, so that all of them are put into
one image, and every row belongs to one trap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relman.model.contents import Obsolete
from relman.model.diff import Change, ChangeKind, Part

VENDOR = "Fedora Project"


@dataclass(frozen=True, slots=True)
class Pkg:
    """A package as its database has it. ``version`` keeps an explicit epoch of 0, as databases may have one."""

    ecosystem: str
    name: str
    version: str
    arch: str = "x86_64"
    source: str | None = None
    vendor: str | None = VENDOR
    obsoletes: tuple[Obsolete, ...] = ()
    module: str | None = None
    status: str = "install ok installed"

    @property
    def parts(self) -> tuple[int | None, str, str | None]:
        """Epoch, version and release, as written."""
        head, colon, rest = self.version.partition(":")
        epoch, rest = (int(head), rest) if colon else (None, self.version)
        version, hyphen, release = rest.rpartition("-")
        return epoch, version if hyphen else rest, release if hyphen else None


Row = Change


@dataclass(frozen=True, slots=True)
class Trap:
    """See the module. ``without`` is by what a source does not know: `obsoletes`, `vendor`, `modules`."""

    name: str
    before: tuple[Pkg, ...]
    after: tuple[Pkg, ...]
    rows: tuple[Row, ...] = ()
    label: tuple[Row, ...] = ()
    without: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    keys: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The packages that it is about."""
        return frozenset(package.name for package in (*self.before, *self.after))


def rows(text: str, ecosystem: str = "rpm") -> tuple[Row, ...]:
    """Rows, one a line: kind/part, name.arch, before, after, then what else was another before, as key=value.

    `-` is nothing. Several versions are joined by commas. The source package has the name, unless `source=` says
    otherwise.
    """
    found = []
    for line in text.strip().splitlines():
        what, named, before, after, *more = line.split()
        kind, _, part = what.partition("/")
        name, _, arch = named.rpartition(".")
        said = dict(item.split("=", 1) for item in more)
        source = said.get("source", name)
        found.append(
            Change(
                kind=ChangeKind(kind),
                part=Part(part) if part else None,
                ecosystem=ecosystem,
                name=name,
                arch=None if arch == "-" else arch,
                before=() if before == "-" else tuple(before.split(",")),
                after=() if after == "-" else tuple(after.split(",")),
                source=None if arch == "-" else source,
                arch_before=said.get("arch"),
                vendor_before=said["vendor"].replace("_", " ") if "vendor" in said else None,
                name_before=said.get("name"),
            )
        )
    return tuple(found)


def rpm(named: str, *versions: str, **more: object) -> tuple[Pkg, ...]:
    """``name.arch`` in each of ``versions``."""
    name, _, arch = named.rpartition(".")
    return tuple(Pkg("rpm", name, version, arch, **more) for version in versions)  # type: ignore[arg-type]


def deb(named: str, *versions: str, **more: object) -> tuple[Pkg, ...]:
    """The same for dpkg, which knows no vendors."""
    name, _, arch = named.rpartition(".")
    return tuple(Pkg("deb", name, version, arch, vendor=None, **more) for version in versions)  # type: ignore[arg-type]


def alpm(named: str, *versions: str, **more: object) -> tuple[Pkg, ...]:
    """The same for pacman."""
    name, _, arch = named.rpartition(".")
    return tuple(Pkg("alpm", name, version, arch, vendor=None, **more) for version in versions)  # type: ignore[arg-type]


_KEY = "gpg-pubkey.(none)"
_MODULE = "nodejs:18:9020230523"
_OTHER_MODULE = "nodejs:20:9020231113"

RPM = (
    Trap(
        "several kernels side by side",
        rpm("kernel.x86_64", "6.19.2-200.fc44", "6.19.9-200.fc44"),
        rpm("kernel.x86_64", "6.19.9-200.fc44", "6.19.12-200.fc44"),
        rows("upgraded/version kernel.x86_64 6.19.2-200.fc44,6.19.9-200.fc44 6.19.9-200.fc44,6.19.12-200.fc44"),
        rows("upgraded/version kernel.- 6.19.2-200.fc44 6.19.9-200.fc44"),
    ),
    Trap(
        "the older of two kernels leaves",
        rpm("kernel-uki-virt.x86_64", "6.19.2-200.fc44", "6.19.9-200.fc44", source="kernel"),
        rpm("kernel-uki-virt.x86_64", "6.19.9-200.fc44", source="kernel"),
        rows("changed kernel-uki-virt.x86_64 6.19.2-200.fc44,6.19.9-200.fc44 6.19.9-200.fc44 source=kernel"),
        rows("upgraded/version kernel-uki-virt.- 6.19.2-200.fc44 6.19.9-200.fc44"),
    ),
    Trap(
        "a step in the epoch, the version going down",
        rpm("fish.x86_64", "5.0-1.fc44"),
        rpm("fish.x86_64", "1:1.0-1.fc44"),
        rows("upgraded/epoch fish.x86_64 5.0-1.fc44 1:1.0-1.fc44"),
        rows("downgraded/version fish.- 5.0-1.fc44 1.0-1.fc44"),
    ),
    Trap(
        "an epoch that goes away",
        rpm("distrobox.noarch", "1:1.8.2-1.fc44"),
        rpm("distrobox.noarch", "1.9.0-1.fc44"),
        rows("downgraded/epoch distrobox.noarch 1:1.8.2-1.fc44 1.9.0-1.fc44"),
        rows("upgraded/version distrobox.- 1.8.2-1.fc44 1.9.0-1.fc44"),
    ),
    Trap("an explicit epoch of 0 is none", rpm("setup.noarch", "0:2.15-1.fc44"), rpm("setup.noarch", "2.15-1.fc44")),
    Trap(
        "an epoch that both have",
        rpm("docker-ce.x86_64", "3:28.2.2-1.fc44"),
        rpm("docker-ce.x86_64", "3:28.10.0-1.fc44"),
        rows("upgraded/version docker-ce.x86_64 3:28.2.2-1.fc44 3:28.10.0-1.fc44"),
        rows("upgraded/version docker-ce.- 28.2.2-1.fc44 28.10.0-1.fc44"),
    ),
    Trap(
        "a tilde sorts before the end",
        rpm("ibus-unikey.x86_64", "0.7.0~beta1-5.fc44"),
        rpm("ibus-unikey.x86_64", "0.7.0-1.fc44"),
        rows("upgraded/version ibus-unikey.x86_64 0.7.0~beta1-5.fc44 0.7.0-1.fc44"),
        rows("upgraded/version ibus-unikey.- 0.7.0~beta1-5.fc44 0.7.0-1.fc44"),
    ),
    Trap(
        "a caret sorts after the end, and before what follows",
        (*rpm("fastfetch.x86_64", "2.63-1.fc44"), *rpm("gdb.x86_64", "1.0^git1-1.fc44")),
        (*rpm("fastfetch.x86_64", "2.63^20260611git1a-1.fc44"), *rpm("gdb.x86_64", "1.0.1-1.fc44")),
        rows("""upgraded/version fastfetch.x86_64 2.63-1.fc44 2.63^20260611git1a-1.fc44
                upgraded/version gdb.x86_64 1.0^git1-1.fc44 1.0.1-1.fc44"""),
        rows("""upgraded/version fastfetch.- 2.63-1.fc44 2.63^20260611git1a-1.fc44
                upgraded/version gdb.- 1.0^git1-1.fc44 1.0.1-1.fc44"""),
    ),
    Trap(
        "a pre-release without a tilde comes after its release",
        rpm("zsh.x86_64", "5.10.rc1-1.fc44"),
        rpm("zsh.x86_64", "5.10-1.fc44"),
        rows("downgraded/version zsh.x86_64 5.10.rc1-1.fc44 5.10-1.fc44"),
        rows("downgraded/version zsh.- 5.10.rc1-1.fc44 5.10-1.fc44"),
    ),
    Trap(
        "by number and not by text",
        (*rpm("fwupd.x86_64", "2.1.9-1.fc44"), *rpm("xz.x86_64", "5.8.2-9.fc44")),
        (*rpm("fwupd.x86_64", "2.1.10-1.fc44"), *rpm("xz.x86_64", "5.8.2-10.fc44")),
        rows("""upgraded/version fwupd.x86_64 2.1.9-1.fc44 2.1.10-1.fc44
                upgraded/release xz.x86_64 5.8.2-9.fc44 5.8.2-10.fc44"""),
        rows("""upgraded/version fwupd.- 2.1.9-1.fc44 2.1.10-1.fc44
                upgraded/release xz.- 5.8.2-9.fc44 5.8.2-10.fc44"""),
    ),
    Trap(
        "the same version in another spelling",
        (*rpm("bash-color-prompt.noarch", "0.7.01-3.fc44"), *rpm("toolbox.x86_64", "0_3-4.fc44")),
        (*rpm("bash-color-prompt.noarch", "0.7.1-3.fc44"), *rpm("toolbox.x86_64", "0.3-4.fc44")),
    ),
    Trap(
        "two architectures that move together",
        (*rpm("mesa-libGL.x86_64", "26.0.8-4.fc44"), *rpm("mesa-libGL.i686", "26.0.8-4.fc44")),
        (*rpm("mesa-libGL.x86_64", "26.1.1-1.fc44"), *rpm("mesa-libGL.i686", "26.1.1-1.fc44")),
        rows("""upgraded/version mesa-libGL.i686 26.0.8-4.fc44 26.1.1-1.fc44
                upgraded/version mesa-libGL.x86_64 26.0.8-4.fc44 26.1.1-1.fc44"""),
        rows("upgraded/version mesa-libGL.- 26.0.8-4.fc44 26.1.1-1.fc44"),
    ),
    Trap(
        "one architecture of two leaves",
        (*rpm("openssl-libs.x86_64", "1:3.5.5-2.fc44"), *rpm("openssl-libs.i686", "1:3.5.5-2.fc44")),
        rpm("openssl-libs.x86_64", "1:3.5.5-2.fc44"),
        rows("removed openssl-libs.i686 1:3.5.5-2.fc44 -"),
    ),
    Trap(
        "one architecture of two moves",
        (*rpm("nss.x86_64", "3.100-1.fc44"), *rpm("nss.i686", "3.100-1.fc44")),
        (*rpm("nss.x86_64", "3.101-1.fc44"), *rpm("nss.i686", "3.100-1.fc44")),
        rows("upgraded/version nss.x86_64 3.100-1.fc44 3.101-1.fc44"),
        rows("upgraded/version nss.- 3.100-1.fc44 3.101-1.fc44"),
    ),
    Trap(
        "another architecture is one change",
        rpm("gnome-shell-common.x86_64", "50.1-2.fc44"),
        rpm("gnome-shell-common.noarch", "50.1-2.fc44"),
        rows("changed gnome-shell-common.noarch 50.1-2.fc44 50.1-2.fc44 arch=x86_64"),
    ),
    Trap(
        "another architecture and version are one change",
        rpm("python3-pip.noarch", "26.0-1.fc44"),
        rpm("python3-pip.x86_64", "26.1-1.fc44"),
        rows("upgraded/version python3-pip.x86_64 26.0-1.fc44 26.1-1.fc44 arch=noarch"),
        rows("upgraded/version python3-pip.- 26.0-1.fc44 26.1-1.fc44"),
    ),
    Trap(
        "trusted keys are no packages",
        rpm(_KEY, "105ef944-65ca83d1", "0b5c3d64-65ca83d1", source="-", vendor=None),
        rpm(_KEY, "105ef944-65ca83d1", "b99058cd-67a3b2c0", source="-", vendor=None),
        keys=(("b99058cd-67a3b2c0",), ("0b5c3d64-65ca83d1",)),
    ),
    Trap(
        "a rename by obsoletes in range",
        rpm("PackageKit-gtk.x86_64", "1.2-3.fc44"),
        rpm("packagekit-gui.x86_64", "2.0-1.fc44", obsoletes=(Obsolete("PackageKit-gtk", "<", "1.3"),)),
        rows("renamed/version packagekit-gui.x86_64 1.2-3.fc44 2.0-1.fc44 name=PackageKit-gtk"),
        rows("""removed PackageKit-gtk.- 1.2-3.fc44 -
                added packagekit-gui.- - 2.0-1.fc44"""),
        without={
            "obsoletes": rows("""removed PackageKit-gtk.x86_64 1.2-3.fc44 -
                                 added packagekit-gui.x86_64 - 2.0-1.fc44""")
        },
    ),
    Trap(
        "obsoletes out of range are no rename",
        rpm("old-tool.x86_64", "1:9.0-1.fc44"),
        rpm("new-tool.x86_64", "2.0-1.fc44", obsoletes=(Obsolete("old-tool", "<", "99"), Obsolete("other", "<", "1"))),
        rows("""added new-tool.x86_64 - 2.0-1.fc44
                removed old-tool.x86_64 1:9.0-1.fc44 -"""),
        rows("""added new-tool.- - 2.0-1.fc44
                removed old-tool.- 9.0-1.fc44 -"""),
    ),
    Trap(
        "another module at the same version",
        rpm("nodejs.x86_64", "20.1-1.el9", module=_MODULE),
        rpm("nodejs.x86_64", "20.1-1.el9", module=_OTHER_MODULE),
        rows("changed nodejs.x86_64 20.1-1.el9 20.1-1.el9"),
        without={"modules": ()},
        notes=(f"`nodejs.x86_64` is of the module `{_OTHER_MODULE}`, and was of `{_MODULE}`, at the same version.",),
    ),
    Trap(
        "another vendor at the same version",
        rpm("ffmpeg.x86_64", "7.1-1.fc44"),
        rpm("ffmpeg.x86_64", "7.1-1.fc44", vendor="negativo17"),
        rows("changed ffmpeg.x86_64 7.1-1.fc44 7.1-1.fc44 vendor=Fedora_Project"),
        without={"vendor": ()},
    ),
    Trap(
        "built again for another dist",
        (
            *rpm("git.x86_64", "2.54-1.fc44"),
            *rpm("sqlite-libs.x86_64", "3.51-1.fc44"),
            *rpm("rar.x86_64", "1-1.el10_1"),
        ),
        (
            *rpm("git.x86_64", "2.54-1.fc45"),
            *rpm("sqlite-libs.x86_64", "3.51-1.fc100"),
            *rpm("rar.x86_64", "1-1.el10_2"),
        ),
        rows("""rebuilt/dist git.x86_64 2.54-1.fc44 2.54-1.fc45
                rebuilt/dist rar.x86_64 1-1.el10_1 1-1.el10_2
                rebuilt/dist sqlite-libs.x86_64 3.51-1.fc44 3.51-1.fc100"""),
        rows("""rebuilt/dist git.- 2.54-1.fc44 2.54-1.fc45
                rebuilt/dist rar.- 1-1.el10_1 1-1.el10_2
                rebuilt/dist sqlite-libs.- 3.51-1.fc44 3.51-1.fc100"""),
    ),
    Trap(
        "the kernel's version inside a name",
        rpm("kmod-v4l2loopback-6.19.9-200.fc44.x86_64.x86_64", "0.15.1-1.fc44", source="v4l2loopback"),
        rpm("kmod-v4l2loopback-6.19.12-200.fc44.x86_64.x86_64", "0.15.1-1.fc44", source="v4l2loopback"),
        rows("""added kmod-v4l2loopback-6.19.12-200.fc44.x86_64.x86_64 - 0.15.1-1.fc44 source=v4l2loopback
                removed kmod-v4l2loopback-6.19.9-200.fc44.x86_64.x86_64 0.15.1-1.fc44 - source=v4l2loopback"""),
        rows("""added kmod-v4l2loopback-6.19.12-200.fc44.x86_64.- - 0.15.1-1.fc44
                removed kmod-v4l2loopback-6.19.9-200.fc44.x86_64.- 0.15.1-1.fc44 -"""),
    ),
    Trap(
        "equal version texts in unrelated packages",
        (*rpm("mutter.x86_64", "50.1-1.fc44"), *rpm("nautilus.x86_64", "50.1-1.fc44")),
        (*rpm("mutter.x86_64", "50.2-1.fc44"), *rpm("nautilus.x86_64", "50.2-1.fc44")),
        rows("""upgraded/version mutter.x86_64 50.1-1.fc44 50.2-1.fc44
                upgraded/version nautilus.x86_64 50.1-1.fc44 50.2-1.fc44"""),
        rows("""upgraded/version mutter.- 50.1-1.fc44 50.2-1.fc44
                upgraded/version nautilus.- 50.1-1.fc44 50.2-1.fc44"""),
    ),
    Trap(
        "characters that package URLs encode",
        (*rpm("libstdc++.x86_64", "16.1+git1-1.fc44", source="gcc"), *rpm("perl-x.noarch", "1%41-1.fc44")),
        (*rpm("libstdc++.x86_64", "16.1+git2-1.fc44", source="gcc"), *rpm("perl-x.noarch", "1%42-1.fc44")),
        rows("""upgraded/version libstdc++.x86_64 16.1+git1-1.fc44 16.1+git2-1.fc44 source=gcc
                upgraded/version perl-x.noarch 1%41-1.fc44 1%42-1.fc44"""),
        rows("""upgraded/version libstdc++.- 16.1+git1-1.fc44 16.1+git2-1.fc44
                upgraded/version perl-x.- 1%41-1.fc44 1%42-1.fc44"""),
    ),
    Trap(
        "a downgrade of the release, and no dist tag at all",
        (*rpm("waypipe.x86_64", "0.11-2"), *rpm("tailscale.x86_64", "1.98.4-1")),
        (*rpm("waypipe.x86_64", "0.11-1"), *rpm("tailscale.x86_64", "1.98.10-1")),
        rows("""upgraded/version tailscale.x86_64 1.98.4-1 1.98.10-1
                downgraded/release waypipe.x86_64 0.11-2 0.11-1"""),
        rows("""upgraded/version tailscale.- 1.98.4-1 1.98.10-1
                downgraded/release waypipe.- 0.11-2 0.11-1"""),
    ),
    Trap("what stays", rpm("bash.x86_64", "5.3.0-2.fc44"), rpm("bash.x86_64", "5.3.0-2.fc44")),
)

DEB = (
    Trap(
        "a tilde sorts before the end",
        deb("apt.amd64", "3.1~beta1-1"),
        deb("apt.amd64", "3.1-1"),
        rows("upgraded/version apt.amd64 3.1~beta1-1 3.1-1", "deb"),
    ),
    Trap(
        "a letter sorts after the end",
        deb("tzdata.all", "2026-1"),
        deb("tzdata.all", "2026a-1"),
        rows("upgraded/version tzdata.all 2026-1 2026a-1", "deb"),
    ),
    Trap(
        "only the last hyphen splits",
        deb("mawk.amd64", "1.3.4-20200120-9"),
        deb("mawk.amd64", "1.3.4-20240905-1"),
        rows("upgraded/version mawk.amd64 1.3.4-20200120-9 1.3.4-20240905-1", "deb"),
    ),
    Trap("no revision is revision 0", deb("base-files.amd64", "13"), deb("base-files.amd64", "13-0")),
    Trap(
        "a build alone for one architecture",
        deb("zlib1g.amd64", "1:1.3.1-1", source="zlib"),
        deb("zlib1g.amd64", "1:1.3.1-1+b1", source="zlib"),
        rows("upgraded/release zlib1g.amd64 1:1.3.1-1 1:1.3.1-1+b1 source=zlib", "deb"),
    ),
    Trap(
        "a step in the epoch",
        deb("vim.amd64", "9.1-1"),
        deb("vim.amd64", "2:8.0-1"),
        rows("upgraded/epoch vim.amd64 9.1-1 2:8.0-1", "deb"),
    ),
    Trap(
        "two architectures",
        (*deb("libc6.amd64", "2.41-11", source="glibc"), *deb("libc6.i386", "2.41-11", source="glibc")),
        (*deb("libc6.amd64", "2.41-12", source="glibc"), *deb("libc6.i386", "2.41-12", source="glibc")),
        rows(
            """upgraded/release libc6.amd64 2.41-11 2.41-12 source=glibc
                upgraded/release libc6.i386 2.41-11 2.41-12 source=glibc""",
            "deb",
        ),
    ),
    Trap(
        "for all architectures now",
        deb("sensible-utils.amd64", "0.0.25-1"),
        deb("sensible-utils.all", "0.0.25-1"),
        rows("changed sensible-utils.all 0.0.25-1 0.0.25-1 arch=amd64", "deb"),
    ),
    Trap(
        "removed, and its configuration left behind",
        deb("exim4.amd64", "4.98-1"),
        deb("exim4.amd64", "4.98-1", status="deinstall ok config-files"),
        rows("removed exim4.amd64 4.98-1 -", "deb"),
    ),
    Trap(
        "held back, and triggers to run",
        (*deb("linux-image.amd64", "6.12.1-1", status="hold ok installed"), *deb("man-db.amd64", "2.13-1")),
        (
            *deb("linux-image.amd64", "6.12.1-1", status="hold ok installed"),
            *deb("man-db.amd64", "2.13-2", status="install ok triggers-pending"),
        ),
        rows("upgraded/release man-db.amd64 2.13-1 2.13-2", "deb"),
    ),
    Trap(
        "a rename by what it replaces and breaks",
        deb("netcat.all", "1.10-50"),
        deb("netcat-traditional.amd64", "1.10-51", obsoletes=(Obsolete("netcat", "<=", "1.10-50"),)),
        rows("renamed/release netcat-traditional.amd64 1.10-50 1.10-51 name=netcat arch=all", "deb"),
        without={
            "obsoletes": rows(
                """removed netcat.all 1.10-50 -
                                 added netcat-traditional.amd64 - 1.10-51""",
                "deb",
            )
        },
    ),
    Trap("what stays", deb("dash.amd64", "0.5.12-12"), deb("dash.amd64", "0.5.12-12")),
)

ALPM = (
    Trap(
        "a trailing letter comes before the end",
        alpm("openssh.x86_64", "10.0a-1"),
        alpm("openssh.x86_64", "10.0-1"),
        rows("upgraded/version openssh.x86_64 10.0a-1 10.0-1", "alpm"),
    ),
    Trap(
        "a letter after a dot comes after it",
        alpm("openssl.x86_64", "3.5-1"),
        alpm("openssl.x86_64", "3.5.a-1"),
        rows("upgraded/version openssl.x86_64 3.5-1 3.5.a-1", "alpm"),
    ),
    Trap(
        "a step in the epoch",
        alpm("mkinitcpio.any", "39-1"),
        alpm("mkinitcpio.any", "1:38-1"),
        rows("upgraded/epoch mkinitcpio.any 39-1 1:38-1", "alpm"),
    ),
    Trap(
        "a base of several packages",
        alpm("gcc-libs.x86_64", "15.1.1-1", source="gcc"),
        alpm("gcc-libs.x86_64", "15.1.1-1.1", source="gcc"),
        rows("upgraded/release gcc-libs.x86_64 15.1.1-1 15.1.1-1.1 source=gcc", "alpm"),
    ),
    Trap(
        "a rename by what it replaces",
        alpm("wireplumber-old.x86_64", "0.5-1"),
        alpm("wireplumber.x86_64", "0.6-1", obsoletes=(Obsolete("wireplumber-old", "<", "0.6"),)),
        rows("renamed/version wireplumber.x86_64 0.5-1 0.6-1 name=wireplumber-old", "alpm"),
        without={
            "obsoletes": rows(
                """added wireplumber.x86_64 - 0.6-1
                                 removed wireplumber-old.x86_64 0.5-1 -""",
                "alpm",
            )
        },
    ),
    Trap("what stays", alpm("pacman.x86_64", "7.0.0-1"), alpm("pacman.x86_64", "7.0.0-1")),
)

TRAPS: Mapping[str, tuple[Trap, ...]] = {"rpm": RPM, "deb": DEB, "alpm": ALPM}
