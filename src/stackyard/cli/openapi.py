"""`stackyard openapi`."""

from __future__ import annotations

import click


@click.command()
@click.argument("service")
@click.option("--microversion", metavar="X.Y", help="As it is at this microversion.  [default: the newest]")
def command(service: str, microversion: str | None) -> None:
    """A service's API (identity, image, network, container) in OpenAPI 3.1, for machines to read."""
    import msgspec

    from stackyard.app import SERVICES
    from stackyard.core.microversion import Microversion
    from stackyard.core.openapi import describe

    found = {known.type: known for known in SERVICES}.get(service)
    if found is None:
        raise click.BadParameter(f"{service} is none of {', '.join(known.type for known in SERVICES)}")
    version = None
    if microversion is not None:
        major, _, minor = microversion.partition(".")
        if found.microversions is None or not (major.isdigit() and minor.isdigit()):
            raise click.BadParameter(f"{service} has no microversion {microversion}")
        version = Microversion(int(major), int(minor))
    click.echo(msgspec.json.format(msgspec.json.encode(describe(found, version=version)), indent=2).decode())
