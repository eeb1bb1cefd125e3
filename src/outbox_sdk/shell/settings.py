"""The relay's settings for programs, by pydantic-settings; the rules are those of the core's table.

The one module that imports pydantic. The Lambda handler never does: it reads the same variables through
:func:`outbox_sdk.core.configuration.parse_environment`, and a property test holds both to one result.
"""

import os
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

import msgspec
from pydantic import Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from outbox_sdk.core.configuration import RelayConfiguration, parse_field, parse_variables
from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.table import TableDesign

__all__ = ["Settings"]

_FIELDS = msgspec.structs.fields(RelayConfiguration)
_DEFAULTS = {field.name: field.default for field in _FIELDS}


def _default(field: str) -> Any:
    return Field(default=_DEFAULTS[field])


class _Environment(PydanticBaseSettingsSource):
    """The environment as the core's table reads it, but for what arguments have given already."""

    def __call__(self) -> dict[str, Any]:
        return parse_variables(os.environ, given=self.current_state)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        # The base class asks for it; `__call__` gives all fields at once.
        raise NotImplementedError


class Settings(BaseSettings):
    """The relay's settings: from arguments by field name, else from the environment, else the default.

    The variables are the field names in capitals (``aws_region`` reads ``AWS_REGION``, then
    ``AWS_DEFAULT_REGION``). Units are in the names. An empty variable is the same as none.

    Raises:
        ConfigurationError: naming the variable that is missing or wrong.
        pydantic.ValidationError: an argument is no field of the settings.

    >>> settings = Settings(dynamodb_outbox_table_name="outbox", aws_sns_topic_prefix="dev-")
    >>> settings.to_configuration().aws_sns_topic_prefix
    'dev-'
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        arbitrary_types_allowed=True, extra="forbid", frozen=True
    )

    dynamodb_outbox_table_name: str = Field(default="", validate_default=True)
    aws_endpoint_url: str | None = _default("aws_endpoint_url")
    aws_region: str | None = _default("aws_region")
    aws_account_id: str | None = _default("aws_account_id")
    aws_sns_topic_prefix: str = _default("aws_sns_topic_prefix")
    outbox_skip_mark_messages_as_dispatched: bool = _default("outbox_skip_mark_messages_as_dispatched")
    outbox_mark_strategy: MarkStrategy = _default("outbox_mark_strategy")
    outbox_envelope: EnvelopeKind = _default("outbox_envelope")
    outbox_allowed_topics: frozenset[str] | None = _default("outbox_allowed_topics")
    outbox_topic_max_bytes: TopicLimits = _default("outbox_topic_max_bytes")
    outbox_dispatched_ttl_days: int | None = _default("outbox_dispatched_ttl_days")
    outbox_recheck_after_seconds: float = _default("outbox_recheck_after_seconds")
    outbox_max_concurrency: int = _default("outbox_max_concurrency")
    outbox_not_dispatched_buckets: int = _default("outbox_not_dispatched_buckets")
    outbox_park_held_after_seconds: float = _default("outbox_park_held_after_seconds")
    outbox_park_older_than_seconds: float | None = _default("outbox_park_older_than_seconds")
    outbox_sweep_after_seconds: float = _default("outbox_sweep_after_seconds")
    outbox_sweep_limit: int = _default("outbox_sweep_limit")
    outbox_table_design: TableDesign = _default("outbox_table_design")
    outbox_claim_bucket: str | None = _default("outbox_claim_bucket")
    outbox_claim_prefix: str = _default("outbox_claim_prefix")
    outbox_claim_minimum_age_days: int = _default("outbox_claim_minimum_age_days")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings passes all by name
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment by the core's table; nothing else."""
        return init_settings, _Environment(settings_cls)

    @field_validator("*", mode="before")
    @classmethod
    def _by_the_rule(cls, value: Any, info: ValidationInfo) -> Any:
        """Hold a value to the rule of its variable, whoever gave it: each has a form as text."""
        if isinstance(value, AbstractSet | list | tuple):
            value = ",".join(map(str, value))
        field = info.field_name or ""
        if (value is None and _DEFAULTS[field] is None) or isinstance(value, TopicLimits | TableDesign):
            return value
        # A small float's own text has an exponent, which no rule takes.
        text = f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        return parse_field(field, text)

    def to_configuration(self) -> RelayConfiguration:
        """Give the same settings as the relay takes them."""
        return RelayConfiguration(**{field.name: getattr(self, field.name) for field in _FIELDS})
