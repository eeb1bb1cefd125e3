"""The relay: one batch of the stream to its topics, and the answer for whoever brought it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from outbox_sdk.core.account import account_for
from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.destinations import services_of
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, ItemKey, Partition, SequenceNumber
from outbox_sdk.core.lookup import Found, LookupResult, Unreadable
from outbox_sdk.core.outcome import IN_FLIGHT, BatchReport, BatchResponse
from outbox_sdk.core.plan import Intake, Wrapping, plan_batch, plan_intake, plan_lookup
from outbox_sdk.core.retry import Deadline, plan_deadline
from outbox_sdk.core.routing import Routing, parse_function_arn
from outbox_sdk.core.stream import Record, decode_event, decode_event_json
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.aws.service import AwsServices, open_services
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.dispatch import Dispatch
from outbox_sdk.shell.dynamodb import DynamoDbTable, call, create_marker
from outbox_sdk.shell.lookups import lookup_all
from outbox_sdk.shell.pace import Pace
from outbox_sdk.shell.ports import Publisher
from outbox_sdk.shell.sns import SnsPublisher

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from outbox_sdk.core.claim_sweep import ClaimSweepReport
    from outbox_sdk.core.metrics import BacklogSize
    from outbox_sdk.core.sweep_report import SweepReport

__all__ = ["Relay", "create_context", "open_relay", "relay_batch"]


async def relay_batch(
    context: RelayContext, event: object, *, remaining_seconds: float | None = None
) -> BatchReport:
    """Publish and mark what a batch of the stream asks for; tell what became of each record.

    ``event`` has the shape that Lambda hands over, as a dict or as JSON bytes. ``remaining_seconds`` is the
    time left for it; what is not settled by then is reported. ``report.response`` is the answer for Lambda.

    Not promised: that a record is published once. A record that is reported may have been published.

    Raises:
        InvalidEventError: the event cannot be named record by record.
        ConfigurationError: it comes from another table, or its stream has no images.
    """
    clock = asyncio.get_running_loop().time
    deadline = plan_deadline(clock(), remaining_seconds)
    records = (
        decode_event_json(event, context.design, table_name=context.table_name)
        if isinstance(event, bytes)
        else decode_event(event, context.design, table_name=context.table_name)
    )
    intake = plan_intake(records)
    with context.in_flight.hold(intake.messages) as mine:
        return await _relay_intake(context, records, intake, mine, deadline)


async def _relay_intake(
    context: RelayContext,
    records: Sequence[Record],
    intake: Intake,
    mine: Container[ItemKey],
    deadline: Deadline,
) -> BatchReport:
    """Relay what has been decoded; what is not ``mine`` another batch of this process is at work on."""
    pace = Pace(context, deadline)

    # Gather: what the process remembers, and what the table says about the records that may be old news.
    arrived = [(key, arrival.record.sequence_number) for key, arrival in intake.messages.items()]
    known = context.memo.known(arrived)

    def published(key: ItemKey, number: SequenceNumber) -> bool:
        return (key, number) in known

    keys = plan_lookup(intake, now=context.now(), recheck_after=context.recheck_after, published=published)
    # What comes again because an earlier record of its batch was reported: this process has marked it, so it
    # knows what the table would say.
    done: dict[ItemKey, LookupResult] = {
        key: Found(outstanding=False) for key, _ in context.done.known(arrived)
    }
    read = await lookup_all(context, [key for key in keys if key in mine and key not in done], deadline, pace)
    others = {key: Unreadable(IN_FLIGHT) for key in intake.messages if key not in mine}
    lookups = {**read, **others, **done}

    # Decide.
    deletes = context.marker is not None and context.marker.deletes
    plan = plan_batch(
        intake,
        lookups=lookups,
        published=published,
        deletes=deletes,
        wrapping=context.wrapping,
        now=context.now(),
        park_older_than=context.park_older_than,
    )

    # Apply.
    dispatch = Dispatch(context, deadline, pace)
    outcomes = await dispatch.run(plan)
    return account_for(
        records,
        plan=plan,
        lookups=lookups,
        outcomes=outcomes,
        effort=pace.effort,
        accepted=dispatch.accepted,
        marks=context.marker is not None,
        deletes=deletes,
    )


class Relay:
    """A relay with its connections open; made by :func:`open_relay`, and good for one event loop.

    Batches of different shards may be relayed at the same time; those of one shard one after the other.
    """

    def __init__(
        self,
        context: RelayContext,
        services: AwsServices,
        access: AwsAccess,
        configuration: RelayConfiguration | None = None,
    ) -> None:
        self.context = context
        self._services = services
        self._access = access
        self._configuration = configuration

    async def relay_batch(self, event: object, *, remaining_seconds: float | None = None) -> BatchReport:
        """Relay one batch; see :func:`relay_batch` for what it takes, gives and raises."""
        return await relay_batch(self.context, event, remaining_seconds=remaining_seconds)

    async def sweep(
        self,
        *,
        sweep_after: float | None = None,
        limit: int | None = None,
        publish: bool = False,
        remaining_seconds: float | None = None,
    ) -> "SweepReport":
        """Take up again what has been outstanding for too long; by default as the configuration says.

        See :func:`~outbox_sdk.shell.sweeper.sweep` for what is done, promised and raised.
        """
        # Here, so that the relay's cold start does not load what only a sweep needs.
        from outbox_sdk.shell.backlog import DynamoDbBacklog
        from outbox_sdk.shell.sweeper import sweep

        context = self.context
        return await sweep(
            context,
            DynamoDbBacklog(self._services.dynamodb, context.table_name, context.design),
            sweep_after=context.sweep_after if sweep_after is None else sweep_after,
            limit=context.sweep_limit if limit is None else limit,
            remaining_seconds=remaining_seconds,
            publish=publish,
        )

    async def read_backlog_size(
        self, *, remaining_seconds: float | None = None
    ) -> "BacklogSize | Unreadable":
        """Count what is outstanding and what is parked, by the index.

        See :func:`~outbox_sdk.shell.backlog_size.read_backlog_size`.
        """
        from outbox_sdk.shell.backlog import DynamoDbBacklog
        from outbox_sdk.shell.backlog_size import read_backlog_size

        context = self.context
        backlog = DynamoDbBacklog(self._services.dynamodb, context.table_name, context.design)
        return await read_backlog_size(context, backlog, remaining_seconds=remaining_seconds)

    async def sweep_claims(
        self,
        *,
        minimum_age_days: float | None = None,
        remaining_seconds: float | None = None,
        pause_seconds: float = 0.0,
    ) -> "ClaimSweepReport":
        """Delete claimed bodies that nobody can need any more, of ``OUTBOX_CLAIM_BUCKET``.

        See :func:`~outbox_sdk.shell.claim_sweeper.sweep_claims` for what is done and promised.

        Raises:
            ConfigurationError: no bucket is configured, or ``minimum_age_days`` is less than one.
        """
        configuration = self._configuration
        if configuration is None or configuration.outbox_claim_bucket is None:
            raise ConfigurationError(
                "OUTBOX_CLAIM_BUCKET", "is not set; give the bucket of the claimed bodies"
            )
        # Here, for only a sweep talks to S3.
        from outbox_sdk.core.claim import ClaimPlace
        from outbox_sdk.shell.aws.session import open_client, storage_config
        from outbox_sdk.shell.claim_sweeper import sweep_claims

        table_name = self.context.table_name
        place = ClaimPlace(configuration.outbox_claim_bucket, configuration.outbox_claim_prefix, table_name)
        days = configuration.outbox_claim_minimum_age_days if minimum_age_days is None else minimum_age_days
        async with open_client("s3", self._access, config=storage_config(self._access)) as s3:
            return await sweep_claims(
                self.context,
                s3,
                place,
                minimum_age_days=days,
                remaining_seconds=remaining_seconds,
                pause_seconds=pause_seconds,
            )

    async def follow(
        self,
        *,
        stop: asyncio.Event | None = None,
        on_batch: Callable[[BatchReport], None] | None = None,
        batch_size: int = 100,
        poll_seconds: float = 0.25,
    ) -> None:
        """Relay the table's stream without Lambda, from its oldest record on, until ``stop`` is set.

        ``on_batch`` is told of each batch; what it raises ends the reading. See
        :func:`~outbox_sdk.shell.streams.follow_stream` for what is promised and what is raised; a table that
        is missing or has no stream is a ConfigurationError.
        """
        ended = asyncio.Event()  # the caller's event is the caller's to set
        failures: list[Exception] = []

        async def handle(event: dict[str, Any]) -> BatchResponse:
            report = await self.relay_batch(event)
            try:
                if on_batch is not None:
                    on_batch(report)
            except Exception as error:
                # The batch is relayed: an observer's trouble must not bring it again, but end the reading.
                failures.append(error)
                ended.set()
            return report.response

        from outbox_sdk.shell.aws.session import open_client
        from outbox_sdk.shell.streams import follow_stream

        stream_arn = await self._find_stream()
        watch = asyncio.create_task(_set_after(stop, ended)) if stop is not None else None
        try:
            async with open_client("dynamodbstreams", self._access) as streams:
                await follow_stream(
                    streams, stream_arn, handle, stop=ended, batch_size=batch_size, poll_seconds=poll_seconds
                )
        finally:
            if watch is not None:
                watch.cancel()
        if failures:
            raise failures[0]

    async def _find_stream(self) -> str:
        table_name = self.context.table_name
        try:
            table = (await call(self._services.dynamodb, "DescribeTable", {"TableName": table_name}))["Table"]
        except Exception as error:
            code = translate_error(error).code
            raise ConfigurationError(
                "DYNAMODB_OUTBOX_TABLE_NAME", f"table {table_name!r} cannot be read: {code}"
            ) from error
        if not table.get("LatestStreamArn"):
            raise ConfigurationError("DYNAMODB_OUTBOX_TABLE_NAME", f"table {table_name!r} has no stream")
        return str(table["LatestStreamArn"])


async def _set_after(first: asyncio.Event, second: asyncio.Event) -> None:
    await first.wait()
    second.set()


@asynccontextmanager
async def open_relay(
    configuration: RelayConfiguration,
    *,
    function_arn: str | None = None,
    design: TableDesign | None = None,
    profile: str | None = None,
    credentials: tuple[str, str] | None = None,
    tracer: "Tracer | None" = None,
) -> AsyncIterator[Relay]:
    """Open the connections of a relay for as long as the context lasts.

    Topics live in the Region and account of ``function_arn``, the Lambda function's own; without one, in
    those of the configuration, and at last in the account that STS names for the credentials in use.
    Credentials are found as botocore finds them, from ``profile`` if given; ``credentials`` (access key id
    and secret) are for local stacks. ``design`` stands over the configuration's. With ``tracer``, of
    OpenTelemetry, each message that is sent is a span within its own trace.

    Raises:
        ConfigurationError: no Region is known, or STS does not name the account.
    """
    partition: Partition | None = None
    region, account_id = configuration.aws_region, configuration.aws_account_id
    if function_arn is not None:
        partition, region, account_id = parse_function_arn(function_arn)
    if region is None:
        from outbox_sdk.shell.aws.session import find_region

        region = find_region(profile)
    if region is None:
        raise ConfigurationError("AWS_REGION", "is not set; give the Region of the table and the topics")
    access = AwsAccess(
        region=region,
        endpoint_url=configuration.aws_endpoint_url,
        profile=profile,
        credentials=credentials,
        max_concurrency=configuration.outbox_max_concurrency,
    )
    if account_id is None:
        from outbox_sdk.shell.aws.session import fetch_identity

        partition, account_id = await fetch_identity(access)
    if partition is None:
        from outbox_sdk.shell.aws.session import partition_of

        partition = partition_of(region)
    routing = Routing(
        partition=partition,
        region=region,
        account_id=AccountId(account_id),
        prefix=configuration.aws_sns_topic_prefix,
        allowed=configuration.outbox_allowed_topics,
    )
    others = [name for name in services_of(configuration.outbox_allowed_topics) if name != "sns"]
    async with open_services(access, others) as services:
        context = create_context(configuration, services, routing, design=design)
        if tracer is not None:
            from outbox_sdk.shell.otel import TracedPublisher

            context = replace(context, publisher=TracedPublisher(context.publisher, tracer))
        yield Relay(context, services, access, configuration)


def _create_publisher(services: AwsServices) -> Publisher:
    publisher = SnsPublisher(services.sns)
    if not services.others:
        return publisher
    # Here, so that a relay for topics alone does not load what it never needs.
    from outbox_sdk.shell.destinations import create_publisher

    return create_publisher(publisher, services.others)


def create_context(
    configuration: RelayConfiguration,
    services: AwsServices,
    routing: Routing,
    *,
    design: TableDesign | None = None,
) -> RelayContext:
    """Put a relay together from a configuration and open services; the caller closes the services."""
    design = design or configuration.outbox_table_design
    table_name = configuration.dynamodb_outbox_table_name
    skip_marks = configuration.outbox_skip_mark_messages_as_dispatched
    return RelayContext(
        publisher=_create_publisher(services),
        table=DynamoDbTable(services.dynamodb, table_name, design),
        marker=None
        if skip_marks
        else create_marker(configuration.outbox_mark_strategy, services.dynamodb, table_name, design),
        table_name=table_name,
        design=design,
        wrapping=Wrapping(
            routing=routing,
            kind=configuration.outbox_envelope,
            limits=configuration.outbox_topic_max_bytes,
            source=f"/outbox/{table_name}",
        ),
        max_concurrency=configuration.outbox_max_concurrency,
        ttl_days=configuration.outbox_dispatched_ttl_days,
        recheck_after=configuration.outbox_recheck_after_seconds,
        park_held_after=configuration.outbox_park_held_after_seconds,
        park_older_than=configuration.outbox_park_older_than_seconds,
        sweep_after=configuration.outbox_sweep_after_seconds,
        sweep_limit=configuration.outbox_sweep_limit,
    )
