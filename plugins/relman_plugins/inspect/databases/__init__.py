"""Readers of package databases: bytes or files in, `Contents` with `Details` out.

Where in an image they lie is for the sources of contents to find; `locate` does it for a folder on disk.
"""

from .dpkg import read_dpkg
from .locate import DPKG_FOLDER, PACMAN_FOLDER, RPM_FILES, RPM_FOLDERS, Kind, Located, locate
from .pacman import read_pacman
from .places import Place, chosen, place
from .reading import NAME, merged, read_path, read_rpm, read_rpm_bytes

__all__ = [
    "DPKG_FOLDER",
    "NAME",
    "PACMAN_FOLDER",
    "RPM_FILES",
    "RPM_FOLDERS",
    "Kind",
    "Located",
    "Place",
    "chosen",
    "locate",
    "merged",
    "place",
    "read_dpkg",
    "read_pacman",
    "read_path",
    "read_rpm",
    "read_rpm_bytes",
]
