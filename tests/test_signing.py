"""Signing statements: keys of every form, what is refused and in which words, and what a bundle is read as."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from relman import afterwards
from relman.errors import ConfigError, Malformed, RelmanError, Unequipped
from relman.lifecycle import configure
from relman.model.signature import SigningMode, StatementSigning
from relman.redaction import redact
from relman.signing.dsse import BUNDLE, Envelope, envelope_bytes, read_bundle, signed_bytes
from relman.signing.keys import PublicKey, load_private_key
from relman.signing.signers import signer_of
from tests.test_statement import CONFIG, VERSION, apply, planned
from tests.walking import World, plugins

DATA = Path(__file__).parent / "data" / "signing"
COSIGN = (DATA / "cosign.key").read_text()
"""Made by cosign 2.5 for these tests alone, closed with the password `composed`."""
STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1"}'


def pem(key: Any, *, password: str | None = None, format: PrivateFormat = PrivateFormat.PKCS8) -> str:
    closed: KeySerializationEncryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    text: str = key.private_bytes(Encoding.PEM, format, closed).decode()
    return text


def public(key: Any) -> str:
    text: str = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return text


P256, RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("text", "password", "theirs"),
    [
        (pem(P256), None, public(P256)),
        (pem(P256), "not needed", public(P256)),
        (pem(P256, format=PrivateFormat.TraditionalOpenSSL), None, public(P256)),
        (pem(P256, password="open"), "open", public(P256)),
        (pem(RSA), None, public(RSA)),
        (pem(RSA, password="open"), "open", public(RSA)),
        (pem(ED), None, public(ED)),
        (COSIGN, "composed", (DATA / "cosign.pub").read_text()),
        (COSIGN.replace("SIGSTORE", "COSIGN"), "composed", (DATA / "cosign.pub").read_text()),
    ],
)
def test_what_a_key_signed_its_public_half_verifies_and_no_other(text: str, password: str | None, theirs: str) -> None:
    bundle = load_private_key(text, password, "the key").sign(STATEMENT)

    envelope = read_bundle(bundle, "it")
    assert envelope.statement == STATEMENT
    assert PublicKey(theirs).verified(envelope)
    assert not PublicKey(public(ec.generate_private_key(ec.SECP256R1()))).verified(envelope)
    assert not PublicKey(theirs).verified(Envelope(STATEMENT + b" ", envelope.signatures))


def test_a_bundle_is_as_cosign_writes_it() -> None:
    bundle = json.loads(load_private_key(pem(P256), None, "the key").sign(STATEMENT))

    (signature,) = bundle["dsseEnvelope"].pop("signatures")
    assert set(signature) == {"keyid", "sig"}
    hint = bundle["verificationMaterial"]["publicKey"].pop("hint")
    assert len(base64.b64decode(hint)) == 32
    assert bundle == {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(STATEMENT).decode(),
            "payloadType": "application/vnd.in-toto+json",
        },
    }


def changed(**more: Any) -> str:
    """cosign's key with something else inside its box's description."""
    body = json.loads(base64.b64decode("".join(COSIGN.splitlines()[1:-1])))
    for name, value in more.items():
        where = body
        *path, last = name.split("__")
        for step in path:
            where = where[step]
        where[last] = value
    text = base64.b64encode(json.dumps(body).encode()).decode()
    return f"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{text}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("text", "password", "said"),
    [
        (COSIGN, None, "the key is encrypted, and no password is given"),
        (COSIGN, "wrong", "the key cannot be opened: it is no private key, or has another password"),
        (COSIGN, "", "the key cannot be opened: it is no private key, or has another password"),
        (pem(P256, password="open"), None, "the key is encrypted, and no password is given"),
        (pem(P256, password="open"), "wrong", "the key cannot be opened"),
        ("", None, "the key cannot be opened"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None, "the key cannot be opened"),
        (public(P256), None, "the key cannot be opened"),
        ("x" * 100_000, None, "the key is no private key: it has 100000 characters"),
        (pem(ec.generate_private_key(ec.SECP384R1())), None, "the key is neither an ECDSA key on P-256, nor"),
        (pem(rsa.generate_private_key(65537, 1024)), None, "the key is neither"),
        (pem(dsa.generate_private_key(2048)), None, "the key is neither"),
        (changed(kdf__params__N=2**40), "composed", "the key cannot be opened"),
        (changed(kdf__params__N=0), "composed", "the key cannot be opened"),
        (changed(kdf__params__N="many"), "composed", "the key cannot be opened"),
        (changed(kdf__name="argon2"), "composed", "the key cannot be opened"),
        (changed(cipher__nonce="AA=="), "composed", "the key cannot be opened"),
        (changed(ciphertext="AA=="), "composed", "the key cannot be opened"),
        (changed(cipher=None), "composed", "the key cannot be opened"),
        (changed(kdf=[]), "composed", "the key cannot be opened"),
    ],
)
def test_what_is_no_usable_key_is_7_and_neither_key_nor_password_is_repeated(
    text: str, password: str | None, said: str
) -> None:
    with pytest.raises(Unequipped) as caught:
        load_private_key(text, password, "the key")

    assert caught.value.message.startswith(said)
    told = f"{caught.value.message} {caught.value.hint} {caught.value.__cause__!r}"
    assert not any(part in told for part in (password, *text.splitlines()[1:-1]) if part)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
        json.dumps({"mediaType": BUNDLE, "dsseEnvelope": {"payloadType": "text/plain"}}).encode(),
        json.dumps(
            {"mediaType": BUNDLE, "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "signatures": []}}
        ).encode(),
        json.dumps(
            {
                "mediaType": BUNDLE,
                "dsseEnvelope": {
                    "payloadType": "application/vnd.in-toto+json",
                    "signatures": [{"sig": "?"}],
                    "payload": "",
                },
            }
        ).encode(),
    ],
)
def test_what_is_no_bundle_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        read_bundle(content, "it")


def test_an_envelope_alone_is_what_dsse_has() -> None:
    assert json.loads(envelope_bytes(Envelope(b"{}", (b"s",)))) == {
        "payload": "e30=",
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"keyid": "", "sig": "cw=="}],
    }
    assert signed_bytes(b"{}") == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"


# --------------------------------------------------------------------------------------------- the configuration


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ('key = { env = "K" }', "`attach = true` is missing"),
        ('attach = true\nkey = { env = "K" }\nsign = "keyless"', "not by both"),
        ('attach = true\npassword = { env = "P" }', "`password` opens a `key`, and there is none"),
        ('attach = true\nkey = "-----BEGIN PRIVATE KEY-----"', "a secret is named here, never written"),
        ('attach = true\nsign = "somehow"', "keyless"),
    ],
)
def test_a_record_that_is_signed_in_no_one_way_is_a_fault(world: World, record: str, said: str) -> None:
    world.configure(f"{CONFIG}\n[record]\n{record}\n")

    with pytest.raises(ConfigError) as caught:
        configure(plugins(), world.folder / "relman.toml", world.folder)

    told = "\n".join(caught.value.problems)
    assert said in told
    assert "BEGIN" not in told


def test_the_variables_are_read_where_a_statement_is_signed_and_hidden_from_then_on(world: World) -> None:
    rule = StatementSigning(SigningMode.KEY, "K", "P")
    for environment, said in (
        ({}, "the environment variable `K`, which is not set"),
        ({"K": COSIGN}, "the environment variable `P`, which is not set"),
    ):
        with pytest.raises(Unequipped, match=said):
            signer_of(rule, environment)

    signer_of(rule, {"K": COSIGN, "P": "composed"})

    lines = COSIGN.splitlines()[1:-1]
    assert lines[0] not in redact(f"x {lines[0]} y")
    assert "composed" not in redact("x composed y")


# ------------------------------------------------------------------------------------------------ in a release


@pytest.fixture
def world(tmp_path: Path) -> World:
    from datetime import date

    from relman.testing import MemoryRegistry

    found = World(tmp_path, MemoryRegistry())
    found.configure(f'{CONFIG}\n[record]\nattach = true\nkey = {{ env = "RECORD_KEY" }}\n')
    found.push("os", "testing-20260601", "stable", "stable-20260602", day=date(2026, 6, 1))
    found.push("os", "testing-20260705", "testing", day=date(2026, 7, 5), n="new")
    return found


def test_without_its_key_a_release_is_refused_before_the_first_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(world)
    world.memory.writes.clear()
    monkeypatch.delenv("RECORD_KEY", raising=False)

    with pytest.raises(Unequipped, match="`RECORD_KEY`, which is not set"):
        apply(world, plan)

    assert (world.memory.writes, world.ledger.records()) == ([], ())


def test_a_signed_statement_is_attached_once_and_read_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORD_KEY", pem(P256))
    plan = planned(world)

    record = apply(world, plan)
    writes = len(world.memory.writes)
    apply(world, plan)

    assert len(world.memory.writes) == writes
    with world.walk() as walk:
        said = json.loads(afterwards.signed_statement(walk, record, "os", PublicKey(public(P256))))
        assert base64.b64decode(said["payload"]) == afterwards.promotion_statement(walk, record, "os")
        with pytest.raises(Malformed, match="signed with another key, or was changed"):
            afterwards.signed_statement(walk, record, "os", PublicKey(public(RSA)))
    assert "signed with the key of [record]" in _described(world, plan)


def _described(world: World, plan: Any) -> str:
    with world.walk() as walk:
        return "\n".join(walk.hands.describe(action) for action in plan.actions)


def test_a_statement_of_another_release_or_image_is_none_of_this_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msgspec.structs import replace

    monkeypatch.setenv("RECORD_KEY", pem(P256))
    record = apply(world, planned(world))

    with world.walk() as walk, pytest.raises(RelmanError, match="it is about another release"):
        afterwards.signed_statement(walk, replace(record, id="f" * 16), "os", PublicKey(public(P256)))


def test_a_key_that_is_taken_out_of_the_configuration_later_leaves_the_statement_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORD_KEY", pem(P256))
    plan = planned(world)
    assert plan.version == VERSION
    world.configure(CONFIG + "\n[record]\nattach = true\n")

    with pytest.raises(Unequipped, match=r"\[record\] says no longer by whom"):
        apply(world, plan)

    assert world.ledger.records() == ()
