"""Certificates for servers on loopback, good ones and expired ones, with the authority that vouches for them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certified:
    """A server's certificate and key, and its authority's certificate: the value for ``SSL_CERT_FILE``."""

    certificate: Path
    key: Path
    authority: Path

    def server(self) -> ssl.SSLContext:
        """For a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self) -> ssl.SSLContext:
        """For a client that trusts the authority."""
        return ssl.create_default_context(cafile=str(self.authority))


def certified(folder: Path, *, expired: bool = False, host: str = "127.0.0.1") -> Certified:
    """A certificate for ``host`` and `localhost`, written below ``folder``; ``expired`` since yesterday."""
    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    own, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "composed authority")])

    def build(name: x509.Name, public: ec.EllipticCurvePublicKey, until: dt.datetime) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - 30 * DAY).not_valid_after(until)

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    authority = build(issuer, own.public_key(), now + 30 * DAY)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority = authority.add_extension(usage, critical=True)
    authority = authority.add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(host))]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    server = build(subject, key.public_key(), now - DAY if expired else now + 30 * DAY)
    server = server.add_extension(x509.SubjectAlternativeName(names), critical=False)
    server = server.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key()), critical=False)
    found = Certified(folder / "server.pem", folder / "server.key", folder / "authority.pem")
    pem = serialization.Encoding.PEM
    found.authority.write_bytes(authority.sign(own, hashes.SHA256()).public_bytes(pem))
    found.certificate.write_bytes(server.sign(own, hashes.SHA256()).public_bytes(pem))
    plain = serialization.NoEncryption()
    found.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return found
