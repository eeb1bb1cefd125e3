"""`outbox schema`: what a catalog's messages look like, as a document for consumers."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from outbox_sdk.cli.output import errors_to_exit_codes
from outbox_sdk.core.asyncapi import build_asyncapi
from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.json_schema import build_json_schema

__all__ = ["schema"]


def schema(
    catalog: Annotated[
        str, typer.Argument(metavar="MODULE:CATALOG", help="Where the catalog is: shop.messages:catalog.")
    ],
    *,
    output_format: Annotated[
        Literal["json-schema", "asyncapi"], typer.Option("--format", help="json-schema or asyncapi.")
    ] = "json-schema",
    output: Annotated[
        Path | None, typer.Option("--output", dir_okay=False, help="Write here; else it is printed.")
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", help="Of the document; else MODULE:CATALOG.")
    ] = None,
    document_version: Annotated[
        str, typer.Option("--document-version", help="Of an AsyncAPI document.")
    ] = "1.0.0",
) -> None:
    """Describe the messages of a catalog as JSON Schema or AsyncAPI 3."""
    with errors_to_exit_codes():
        found = _load_catalog(catalog)
        document = (
            build_json_schema(found, title=title or catalog)
            if output_format == "json-schema"
            else build_asyncapi(found, title=title or catalog, version=document_version)
        )
        text = msgspec.json.format(msgspec.json.encode(document).decode(), indent=2) + "\n"
        if output is None:
            sys.stdout.write(text)
        else:
            _write(output, text)


def _load_catalog(target: str) -> Catalog[Any]:
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise ConfigurationError(
            "MODULE:CATALOG", f"{target!r} is not a module and a name, as in a.b:catalog"
        )
    if "" not in sys.path:  # as `python -m` would find it, and not only what is installed
        sys.path.insert(0, "")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "MODULE:CATALOG",
            f"{module_name} is not imported: {error}; run this in the project's directory, or install it",
        ) from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Catalog):
        raise ConfigurationError("MODULE:CATALOG", f"{name} of {module_name} is no Catalog")
    return found


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError("--output", f"{path}: {error.strerror}") from error
