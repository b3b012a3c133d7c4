"""relman.toml, read whole and checked at once: every fault with its line."""

from relman.config.load import load, without_file
from relman.config.values import ChannelTable, Config
from relman.project import FILE_NAME, find

__all__ = ["FILE_NAME", "ChannelTable", "Config", "find", "load", "without_file"]
