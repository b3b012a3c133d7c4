"""Package databases in the layers of an image: found by name, by table of contents, or by reading from the top down."""

from .paths import LOOKED_IN
from .search import Found, Search
from .stream import LIMITS, Limits

__all__ = ["LIMITS", "LOOKED_IN", "Found", "Limits", "Search"]
