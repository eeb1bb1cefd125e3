"""`outbox console`: a local web page to look after an outbox."""

import asyncio
import os
from typing import Annotated

import typer

from outbox_sdk.cli.admin import watch_admin
from outbox_sdk.cli.options import EndpointOption, ProfileOption, RegionOption, TableOption
from outbox_sdk.cli.output import errors_to_exit_codes
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.shell.admin import Admin

__all__ = ["console"]

_TOKEN = "OUTBOX_CONSOLE_TOKEN"  # noqa: S105 - the name of the variable


def console(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    host: Annotated[
        str, typer.Option(help=f"Listen on this address; others than this machine's need {_TOKEN}.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Listen on this port; 0 is any free one.")
    ] = 8787,
    allowed_host: Annotated[
        list[str] | None, typer.Option("--allowed-host", help="Answer to this name too, as a proxy's.")
    ] = None,
    sample_every: Annotated[
        float, typer.Option(min=1, max=3_600, help="Look at the backlog every so many seconds.")
    ] = 15.0,
) -> None:
    """Serve a web page of the outbox to this machine, until stopped: look, redrive, replay."""
    with errors_to_exit_codes():
        try:
            from outbox_sdk.console import build_access, serve_console
        except ModuleNotFoundError as error:
            problem = f'{error.name} is missing. Run: pip install "dynamodb-outbox-sdk[console]"'
            raise ConfigurationError("outbox console", problem) from None
        token = os.environ.get(_TOKEN) or None
        # Before any call: wrong input is told at once.
        build_access(host, token, allowed_host or ())

    def on_ready(address: str) -> None:
        typer.echo(f"The console is at {address} until Ctrl-C.")

    async def serve(admin: Admin, stop: asyncio.Event) -> None:
        await serve_console(
            admin,
            host=host,
            port=port,
            token=token,
            allowed_hosts=allowed_host or (),
            sample_every=sample_every,
            stop=stop,
            on_ready=on_ready,
        )

    watch_admin(
        serve, profile=profile, dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url,
        aws_region=region,
    )  # fmt: skip
