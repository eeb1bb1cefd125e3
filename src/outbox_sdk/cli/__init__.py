"""The ``outbox`` command: options in, the SDK called, numbers and exit codes out.

Exit codes: 0 for success, 1 for a demo in which a message was lost, doubled or late, for what was left undone
or not found, or for a failure on the way, 2 for wrong input or configuration, 130 when interrupted.
"""

from typing import Annotated

try:
    import typer

    from outbox_sdk.cli.again import purge, redrive, replay
    from outbox_sdk.cli.console import console
    from outbox_sdk.cli.cost import cost
    from outbox_sdk.cli.demo import demo
    from outbox_sdk.cli.deploy import deploy, destroy
    from outbox_sdk.cli.doctor import doctor
    from outbox_sdk.cli.look import parked, pending, show
    from outbox_sdk.cli.relay import relay
    from outbox_sdk.cli.schema import schema
    from outbox_sdk.cli.stack import stack
    from outbox_sdk.cli.status import status
    from outbox_sdk.cli.sweep import sweep
    from outbox_sdk.cli.tail import tail
except ModuleNotFoundError as _error:
    raise SystemExit(f'{_error.name} is missing. Run: pip install "dynamodb-outbox-sdk[local]"') from _error

__all__ = ["app", "main"]

app: typer.Typer = typer.Typer(
    help="A transactional outbox for DynamoDB: try it, deploy it, and relay messages to SNS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _command in (
    *(demo, deploy, destroy, relay, schema, stack, sweep),
    *(status, pending, parked, show, tail),
    *(redrive, replay, purge),
    *(doctor, cost, console),
):
    app.command()(_command)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from outbox_sdk.packaging.sbom import DISTRIBUTION

        typer.echo(f"{DISTRIBUTION} {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def _before(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command."""
    app()
