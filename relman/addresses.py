"""Where hosts are, and how they are spoken to: what can be known of an address without asking anybody."""

from __future__ import annotations

import ipaddress
import os
import sys
from urllib.parse import urlsplit

DOCKER_HUB = "docker.io"


def is_loopback(hostname: str) -> bool:
    """Whether this name or address, without a port, never leaves the machine."""
    bare = hostname.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def is_plain(host: str, insecure: frozenset[str]) -> bool:
    """Whether this host, with an optional port, is spoken to without TLS: loopback, or named so."""
    name = urlsplit(f"//{host}").hostname or ""
    return is_loopback(name) or host in insecure or name in insecure


def registry_address(host: str, insecure: frozenset[str]) -> str:
    """Where a registry is, by its name in references."""
    scheme = "http" if is_plain(host, insecure) else "https"
    return f"{scheme}://{'registry-1.docker.io' if host == DOCKER_HUB else host}"


def is_direct(url: str) -> bool:
    """Whether no proxy can be between: loopback, and where nobody names one. macOS and Windows keep them elsewhere."""
    named = any(name.lower().endswith("_proxy") for name in os.environ)
    return is_loopback(urlsplit(url).hostname or "") or (sys.platform == "linux" and not named)
