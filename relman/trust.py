"""Which certificates are trusted: those of the system, wherever it keeps them."""

from __future__ import annotations

import os
import platform
import re
import ssl
from pathlib import Path

# Where distributions keep the certificates that they trust, for a Python whose OpenSSL was built for another place.
_BUNDLES = (
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def trusted() -> ssl.SSLContext:
    """The certificates that this system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others."""
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if platform.system() in ("Darwin", "Windows") and not named:
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_default_verify_paths()
    if not named and not _has_certificates(ssl.get_default_verify_paths()):
        for bundle in filter(os.path.isfile, _BUNDLES):  # where there is none, nobody is trusted, and that is said
            context.load_verify_locations(bundle)
            break
    return context


def _has_certificates(paths: ssl.DefaultVerifyPaths) -> bool:
    """Whether there is anything where this Python's OpenSSL looks: one file, or files named by their hashes."""
    if paths.cafile:
        return True
    return paths.capath is not None and any(
        re.fullmatch(r"[0-9a-f]{8}\.\d", file.name) for file in Path(paths.capath).iterdir()
    )
