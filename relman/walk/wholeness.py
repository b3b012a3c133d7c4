"""Whether the images that are about to get tags are whole where they lie: manifests, configurations, every layer.

A tag of an image that a registry's clean-up has hollowed out still answers, and every pull of it fails.
"""

from __future__ import annotations

from collections.abc import Sequence

from relman.errors import Malformed, NotFound, PartlyDone
from relman.model.oci import Digest, Reference, Repository, parse_reference
from relman.model.plan import Plan
from relman.model.record import Receipt
from relman.registry.carrying import blobs_of, family
from relman.registry.protocol import RegistryReader
from relman.walk.acting import TAGS
from relman.walk.parallel import in_parallel

MOST = 20_000
"""Layers and configurations of one image that are asked for; a bootable image has fewer than two hundred."""


def check_whole(plan: Plan, reader: RegistryReader, known: Sequence[Receipt]) -> None:
    """Ask once for everything that the images consist of which have a tag to get, without reading any of it.

    What the plan copies is not looked for: it is not there yet, and is checked once it is. Raises `NotFound` naming
    what is missing, `PartlyDone` where tags have moved already.
    """
    images = _awaiting(plan, known)
    try:
        families = in_parallel(lambda image: family(reader, image), images)
        blobs: dict[tuple[Repository, Digest], Reference] = {}
        for image, manifests in zip(images, families, strict=True):
            found = {blob.digest for one in manifests for blob in blobs_of(image.repository, one)}
            if len(found) > MOST:
                raise Malformed(f"`{image}` consists of {len(found)} layers, and no more than {MOST} are asked for")
            blobs = {(image.repository, digest): image for digest in found} | blobs
        there = in_parallel(lambda one: reader.has_blob(*one), blobs)
        gone = next((one for one, is_there in zip(blobs, there, strict=True) if not is_there), None)
        if gone:
            raise NotFound(f"`{blobs[gone]}` is not whole: the blob `{gone[1]}` is not there")
    except NotFound as error:
        _refuse(plan, known, error)


def _awaiting(plan: Plan, known: Sequence[Receipt]) -> tuple[Reference, ...]:
    """The images that lie where their tags are to be, and have one to get."""
    settled = {receipt.key for receipt in known if receipt.settled}
    copied = {
        (action.payload.get("to"), str(action.payload.get("from")).rpartition("@")[2])
        for action in plan.actions
        if action.kind == "copy"
    }
    found: dict[Reference, None] = {}
    for action in plan.actions:
        if action.stage in TAGS and action.key not in settled and "digest" in action.payload:
            image = parse_reference(f"{parse_reference(action.text('reference')).repository}@{action.text('digest')}")
            if (str(image.repository), image.digest) not in copied:
                found[image] = None
    return tuple(found)


def _refuse(plan: Plan, known: Sequence[Receipt], error: NotFound) -> None:
    hint = "push it again, or build again; `relman audit` names what else is gone"
    if any(receipt.ours for receipt in known):
        raise PartlyDone(f"`{plan.version}` is partly done: {error.message}", hint=hint) from error
    raise NotFound(error.message, hint=hint) from error
