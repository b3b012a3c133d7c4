"""What is put into the composed set by hand: packages of dx and nvidia images, and the steps that others get wrong."""

from __future__ import annotations

from dataclasses import dataclass

_I686 = """
glibc glibc-common libX11 libX11-xcb libdrm libglvnd libglvnd-glx libglvnd-egl libglvnd-gles libglvnd-opengl libxcb
libXext libXi libXrandr libxkbcommon libxml2 libzstd expat zlib-ng-compat systemd-libs openssl-libs pipewire-libs
alsa-lib pulseaudio-libs freetype fontconfig libpng glib2 vulkan-loader mesa-dri-drivers mesa-filesystem mesa-libEGL
mesa-libGL mesa-libgbm mesa-vulkan-drivers libva libwayland-client nss nspr
"""
ALSO_I686 = frozenset(_I686.split())
"""Packages that are installed for two architectures, as an image with Steam's libraries has them."""

EXTRA: dict[str, tuple[tuple[str, ...], ...]] = {
    "all": (
        ("kernel-devel", "7.0.8-200.fc44", "kernel"),
        ("bazaar", "0.7.2-1.fc44", "bazaar"),
        ("kmod-v4l2loopback-7.0.8-200.fc44.x86_64", "0.15.1-1.fc44", "v4l2loopback"),
        ("rar-composed", "1.9-1.el10_1", "rar-composed"),
    ),
    "dx": (
        ("docker-ce", "3:28.2.2-1.fc44", "docker-ce"),
        ("docker-ce-cli", "1:28.2.2-1.fc44", "docker-ce-cli"),
        ("docker-ce-rootless-extras", "28.2.2-1.fc44", "docker-ce"),
        ("docker-buildx-plugin", "0.24.0-1.fc44", "docker-buildx-plugin"),
        ("docker-compose-plugin", "2.36.2-1.fc44", "docker-compose-plugin"),
        ("containerd.io", "1.7.27-3.1.fc44", "containerd.io"),
        ("code", "1.101.0-1749655288.el8", "code"),
        ("incus", "6.13-1.fc44", "incus"),
        ("incus-agent", "6.13-1.fc44", "incus"),
        ("incus-client", "6.13-1.fc44", "incus"),
        ("lxc", "6.0.4-2.fc44", "lxc"),
        ("lxc-libs", "6.0.4-2.fc44", "lxc"),
        ("qemu-kvm", "2:10.0.2-1.fc44", "qemu"),
        ("qemu-img", "2:10.0.2-1.fc44", "qemu"),
        ("qemu-system-x86-core", "2:10.0.2-1.fc44", "qemu"),
        ("qemu-char-spice", "2:10.0.2-1.fc44", "qemu"),
        ("libvirt", "11.3.0-1.fc44", "libvirt"),
        ("libvirt-daemon", "11.3.0-1.fc44", "libvirt"),
        ("libvirt-nss", "11.3.0-1.fc44", "libvirt"),
        ("virt-manager", "5.0.0-3.fc44", "virt-manager", "noarch"),
        ("virt-viewer", "11.0-14.fc44", "virt-viewer"),
        ("cockpit-machines", "333-1.fc44", "cockpit-machines", "noarch"),
        ("cockpit-podman", "107-1.fc44", "cockpit-podman", "noarch"),
        ("bpftrace", "0.23.4-1.fc44", "bpftrace"),
        ("sysprof", "48.0-2.fc44", "sysprof"),
        ("rocm-hip", "6.3.3-5.fc44", "rocclr"),
        ("rocm-opencl", "6.3.3-5.fc44", "rocclr"),
        ("ublue-os-libvirt-workarounds", "1.1-1.fc44", "ublue-os-libvirt-workarounds", "noarch"),
    ),
    "nvidia": (
        ("nvidia-driver", "3:575.57.8-1.fc44", "nvidia-driver"),
        ("nvidia-driver-cuda", "3:575.57.8-1.fc44", "nvidia-driver"),
        ("nvidia-driver-libs", "3:575.57.8-1.fc44", "nvidia-driver", "x86_64", "i686"),
        ("nvidia-driver-cuda-libs", "3:575.57.8-1.fc44", "nvidia-driver", "x86_64", "i686"),
        ("libnvidia-ml", "3:575.57.8-1.fc44", "nvidia-driver", "x86_64", "i686"),
        ("nvidia-kmod-common", "3:575.57.8-1.fc44", "nvidia-kmod-common", "noarch"),
        ("nvidia-container-toolkit", "1.17.8-1", "nvidia-container-toolkit"),
        ("nvidia-container-toolkit-base", "1.17.8-1", "nvidia-container-toolkit"),
        ("libva-nvidia-driver", "0.0.13^20241108git259b7b7-3.fc44", "nvidia-vaapi-driver"),
        ("nvidia-modprobe", "3:575.57.8-1.fc44", "nvidia-modprobe"),
        ("nvidia-persistenced", "3:575.57.8-1.fc44", "nvidia-persistenced"),
        ("nvidia-settings", "3:575.57.8-1.fc44", "nvidia-settings"),
        ("egl-wayland", "1.1.19-3.fc44", "egl-wayland", "x86_64", "i686"),
        ("opencl-filesystem", "1.0-22.fc44", "opencl-filesystem", "noarch"),
        ("supergfxctl", "5.2.7-2.fc44", "supergfxctl"),
    ),
}
"""Composed packages beside the real list, by where they are installed: (name, version, source, arches…)."""

KEYS = (
    ("e9a491a3de247814e7e067eae06f8ecdd651ff2e-5dadbbc1", "0b5c3d64c19a6f6bbcd0ef2cbb1f2f1a6cf3cf32-65ca83d1"),
    ("e9a491a3de247814e7e067eae06f8ecdd651ff2e-5dadbbc1", "b99058cd7ab47ae2ba8d4c6f0f6be8d1a8dc6f4e-67a3b2c0"),
    ("e9a491a3de247814e7e067eae06f8ecdd651ff2e-5dadbbc1", "b99058cd7ab47ae2ba8d4c6f0f6be8d1a8dc6f4e-67a3b2c0"),
)
"""The trusted keys of each build; rpm lists them as `gpg-pubkey`. The first is real."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A step written out. ``where``: `all`, `dx`, `nvidia`, `plain` (no nvidia), or variants by name."""

    names: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    kind: str | None
    part: str | None = None
    where: str = "all"
    arches: tuple[str, ...] = ("x86_64",)
    source: str | None = None
    arch_before: str | None = None


def _trap(names: str, before: str, after: str, kind: str | None, part: str | None = None, **rest: object) -> Trap:
    return Trap(tuple(names.split()), tuple(before.split()), tuple(after.split()), kind, part, **rest)  # type: ignore[arg-type]


_KERNEL = "kernel kernel-core kernel-modules kernel-modules-core kernel-modules-extra kernel-devel-matched"
_MESA = "mesa-dri-drivers mesa-filesystem mesa-libEGL mesa-libGL mesa-libgbm mesa-vulkan-drivers"
_PIPEWIRE = (
    "pipewire pipewire-alsa pipewire-config-raop pipewire-gstreamer pipewire-jack-audio-connection-kit "
    "pipewire-jack-audio-connection-kit-libs pipewire-libs pipewire-plugin-libcamera pipewire-pulseaudio pipewire-utils"
)
_TWO = "7.0.6-200.fc44 7.0.8-200.fc44"
_BOTH = ("x86_64", "i686")

TRAPS = (
    # two kernels side by side; `.10` comes after `.8`; nvidia images get another one
    _trap(_KERNEL, _TWO, "7.0.8-200.fc44 7.0.10-201.fc44", "upgraded", "version", where="plain"),
    _trap(_KERNEL, _TWO, "7.0.8-200.fc44 7.0.9-200.fc44", "upgraded", "version", where="nvidia"),
    _trap("kernel-devel", "7.0.8-200.fc44", "7.0.8-200.fc44 7.0.10-201.fc44", "upgraded", "version"),
    _trap("kernel-uki-virt", _TWO, "7.0.8-200.fc44", "changed", source="kernel"),
    # the kernel's version inside a name
    _trap("kmod-v4l2loopback-7.0.8-200.fc44.x86_64", "0.15.1-1.fc44", "", "removed"),
    _trap("kmod-v4l2loopback-7.0.10-201.fc44.x86_64", "", "0.15.1-1.fc44", "added", source="v4l2loopback"),
    # one name, other versions in other variants; both architectures
    _trap(_MESA, "26.0.8-4.fc44", "26.1.1-1.fc44", "upgraded", "version", where="plain", arches=_BOTH),
    _trap(_MESA, "26.0.8-4.fc44", "26.1.0-1.fc44", "upgraded", "version", where="nvidia", arches=_BOTH),
    # down again
    _trap(_PIPEWIRE, "1.6.6-1.fc44", "1.6.5-1.fc44", "downgraded", "version"),
    _trap("pipewire-libs", "1.6.6-1.fc44", "1.6.5-1.fc44", "downgraded", "version", arches=("i686",)),
    _trap("waypipe", "0.11.0-2.fc44", "0.11.0-1.fc44", "downgraded", "release"),
    _trap("zsh", "5.10.rc1-1.fc44", "5.10-1.fc44", "downgraded", "version"),
    # the epoch decides, whichever way the rest goes
    _trap("fish", "4.6.0-1.fc44", "1:4.5.0-1.fc44", "upgraded", "epoch"),
    _trap("distrobox", "1:1.8.2.4-1.fc44", "1.9.0-1.fc44", "downgraded", "epoch"),
    # before and after the end
    _trap("ibus-unikey", "0.7.0~beta1-5.fc44", "0.7.0-1.fc44", "upgraded", "version"),
    _trap("fastfetch", "2.63.1-1.fc44", "2.63.1^20260611git1a2b3c4-1.fc44", "upgraded", "version"),
    # by number, not by text
    _trap("fwupd", "2.1.9-1.fc44", "2.1.10-1.fc44", "upgraded", "version"),
    _trap("xz xz-libs", "5.8.2-9.fc44", "5.8.2-10.fc44", "upgraded", "release"),
    # built again for another dist: the release is the same
    _trap("git git-core git-credential-libsecret", "2.54.0-1.fc44", "2.54.0-1.fc45", "rebuilt", "dist"),
    _trap("git-core-doc", "2.54.0-1.fc44", "2.54.0-1.fc45", "rebuilt", "dist", arches=("noarch",)),
    _trap("rpm-ostree rpm-ostree-libs", "2026.1-3.fc44", "2026.1-3.fc44.1", "rebuilt", "dist"),
    _trap("sqlite-libs", "3.51.2-1.fc44", "3.51.2-1.fc100", "rebuilt", "dist"),
    _trap("zlib-ng-compat", "2.3.3-3.fc44", "2.3.3-3.fc43", "rebuilt", "dist", arches=_BOTH),
    _trap("rar-composed", "1.9-1.el10_1", "1.9-1.el10_2", "rebuilt", "dist"),
    # no dist at all
    _trap("tailscale", "1.98.4-1", "1.98.10-1", "upgraded", "version"),
    # the same version in another spelling is no change
    _trap("bash-color-prompt", "0.7.01-3.fc44", "0.7.1-3.fc44", None, arches=("x86_64",)),
    _trap("toolbox", "0_3-4.fc44", "0.3-4.fc44", None),
    # equal version texts in unrelated packages hid one another
    _trap("mutter", "50.1-1.fc44", "50.2-1.fc44", "upgraded", "version"),
    _trap("nautilus nautilus-extensions", "50.1-1.fc44", "50.2-1.fc44", "upgraded", "version"),
    _trap("gnome-control-center", "50.1-1.fc44", "50.2-1.fc44", "upgraded", "version"),
    _trap("gnome-control-center-filesystem", "50.1-1.fc44", "50.2-1.fc44", "upgraded", "version", arches=("noarch",)),
    # another architecture, nothing else
    _trap("gnome-shell-common", "50.1-2.fc44", "50.1-2.fc44", "changed", arches=("noarch",), arch_before="x86_64"),
    # installed everywhere, changed somewhere
    _trap("podman", "5:5.8.2-1.fc44", "5:5.8.3-1.fc44", "upgraded", "version", where="dx"),
    _trap(
        "ptyxis", "50.1-2.fc44", "50.2-1.fc44", "upgraded", "version",
        where="bluefin-dx bluefin-nvidia-open bluefin-dx-nvidia-open",
    ),
    _trap("gdm", "50.0-1.fc44", "50.1-1.fc44", "upgraded", "version", where="bluefin-dx-nvidia-open"),
    _trap("docker-ce", "3:28.2.2-1.fc44", "3:28.3.0-1.fc44", "upgraded", "version", where="dx"),
    _trap("docker-ce-cli", "1:28.2.2-1.fc44", "1:28.3.0-1.fc44", "upgraded", "version", where="dx"),
    _trap("docker-ce-rootless-extras", "28.2.2-1.fc44", "28.3.0-1.fc44", "upgraded", "version", where="dx"),
    _trap(
        "nvidia-driver nvidia-driver-cuda", "3:575.57.8-1.fc44", "3:575.64.3-1.fc44", "upgraded", "version",
        where="nvidia",
    ),
    _trap(
        "nvidia-driver-libs nvidia-driver-cuda-libs libnvidia-ml", "3:575.57.8-1.fc44", "3:575.64.3-1.fc44",
        "upgraded", "version", where="nvidia", arches=_BOTH,
    ),
    # come and gone; one architecture of two
    _trap("kmscon", "", "9.2.1-1.fc44", "added"),
    _trap("virtio-win-composed", "", "0.1.271-1.fc44", "added", where="dx", arches=("noarch",)),
    _trap("epiphany-runtime", "50.4-1.fc44", "", "removed"),
    _trap("supergfxctl", "5.2.7-2.fc44", "", "removed", where="nvidia"),
    _trap("openssl-libs", "1:3.5.5-2.fc44", "", "removed", arches=("i686",)),
)  # fmt: skip
"""In the order of the facts that they come from; no package is named twice for one variant."""
