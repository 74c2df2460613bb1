"""`python -m deploy.sandbox --folder F --port P`: serve the sandbox until interrupted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from contracts.errors import Reject
from deploy.sandbox.server import api_urls, serve
from deploy.sandbox.settings import load_sandbox_settings


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Where its state and uploads are kept.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", default=0, show_default=True, help="0: any free one.")
@click.option("--samples", is_flag=True, help="List a few small items with different licences.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a setting; may be repeated.")
def main(folder: Path, host: str, port: int, *, samples: bool, changes: tuple[str, ...]) -> None:
    """Imitate YouTube, Google sign-in, the Internet Archive, Wikimedia Commons and others on this machine.

    The first line on stdout is the address; the lines after it are the settings that point ettametta at it.
    """

    def ready(bound: int) -> None:
        address = f"http://{host}:{bound}"
        click.echo(address)
        for name, url in api_urls(address).items():
            click.echo(f"{name.upper()}_API_URL={url}")

    try:
        pairs = dict(change.split("=", 1) for change in changes)
    except ValueError as wrong:
        raise click.UsageError("--set needs NAME=VALUE") from wrong
    try:
        settings = load_sandbox_settings(changes=pairs)
        asyncio.run(serve(folder, host, port, ready=ready, settings=settings, samples=samples))
    except Reject as wrong:
        raise click.ClickException(str(wrong)) from wrong
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


if __name__ == "__main__":
    main()
