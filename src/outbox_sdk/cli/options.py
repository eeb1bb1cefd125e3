"""Options that several commands share, and the settings they make."""

from typing import Annotated, Any

import typer

from outbox_sdk.shell.settings import Settings

__all__ = [
    "AllowedTopicsOption",
    "EndpointOption",
    "EnvelopeOption",
    "JsonOption",
    "PrefixOption",
    "ProfileOption",
    "RegionOption",
    "StrategyOption",
    "TableOption",
    "settings_of",
]

TableOption = Annotated[
    str | None, typer.Option("--table", help="The outbox table; else DYNAMODB_OUTBOX_TABLE_NAME.")
]
EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint-url", help="One endpoint for all services; else AWS_ENDPOINT_URL."),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="The Region; else AWS_REGION or the profile's.")
]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="A profile of the AWS configuration.")]
PrefixOption = Annotated[
    str | None,
    typer.Option("--topic-prefix", help="Put before every topic name; else AWS_SNS_TOPIC_PREFIX."),
]
AllowedTopicsOption = Annotated[
    str | None,
    typer.Option(
        "--allowed-topics", help="Topics and other routes, with commas; else OUTBOX_ALLOWED_TOPICS."
    ),
]
StrategyOption = Annotated[
    str | None,
    typer.Option("--mark-strategy", help="batch, single or delete; else OUTBOX_MARK_STRATEGY."),
]
EnvelopeOption = Annotated[
    str | None,
    typer.Option("--envelope", help="raw, cloudevents or tomodachi; else OUTBOX_ENVELOPE."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def settings_of(**options: Any) -> Settings:
    """Read the settings; an option that was not given leaves it to the environment."""
    return Settings(**{name: value for name, value in options.items() if value is not None})
