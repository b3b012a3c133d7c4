"""`relman contents`: the packages inside an image."""

from __future__ import annotations

import click

from relman.cli.app import image, lifecycle
from relman.cli.diff import parse_platforms
from relman.cli.options import common_options, format_option
from relman.cli.output import document, table
from relman.errors import NotFound
from relman.model.contents import Contents
from relman.model.oci import LINUX_AMD64, Transport


@click.command()
@click.argument("image_name", metavar="IMAGE")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Which platform.")
@format_option("text", "json")
@common_options
def contents(image_name: str, platforms: tuple[str, ...], format_: str) -> None:
    """List the packages inside IMAGE (an image, or `sbom:FILE`)."""
    wanted = parse_platforms(platforms)
    with lifecycle(needs_config=False) as walk:
        reference = image(image_name, walk)
        if reference.repository.transport in (Transport.SBOM, Transport.RPMDB):
            found = walk.comparer.inspector.contents(reference, None)
        else:
            looked = walk.look(reference)
            platform = wanted[0] if wanted else LINUX_AMD64
            part = looked.on(platform) or (None if wanted else looked.platforms[0])
            if part is None:
                there = ", ".join(str(p.platform) for p in looked.platforms)
                raise NotFound(f"`{looked.reference}` is not there for {platform}", hint=f"it is for {there}")
            reference = looked.reference
            found = walk.comparer.inspector.contents(reference, part)
    if format_ == "json":
        document(_document(str(reference), found))
    else:
        click.echo(table([(p.name, p.version, p.arch or "", p.source or "") for p in found.packages]))


def _document(reference: str, found: Contents) -> dict[str, object]:
    return {
        "schema": "relman.packages/1",
        "reference": reference,
        "source": found.source,
        "capabilities": sorted(found.capabilities),
        "keys": list(found.keys),
        "packages": [
            {"ecosystem": p.ecosystem, "name": p.name, "arch": p.arch, "version": p.version, "source": p.source}
            for p in found.packages
        ],
    }
