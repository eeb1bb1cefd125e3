"""What is looked at in the event source mapping: where it reads, what it brings, what it gives up."""

from collections.abc import Iterator
from typing import Any

from outbox_sdk.core.destinations import is_ordered_route
from outbox_sdk.core.doctor.event_pattern import UnknownPatternError, matches_pattern, parse_pattern
from outbox_sdk.core.doctor.facts import MappingFacts, NotKnownError, Stack, known
from outbox_sdk.core.doctor.finding import Check, Problem
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.table import PARKED, TableDesign

__all__ = ["MAPPING_CHECKS"]

_STREAM_SECONDS = 86_400
_SHORTEST_AGE = 3_600


def _update(mapping: MappingFacts, arguments: str) -> str:
    return f"aws lambda update-event-source-mapping --uuid {mapping.mapping_id or '<uuid>'} {arguments}"


def _own(stack: Stack, mapping: MappingFacts) -> bool:
    """Other functions may read the same stream, and are no business of ours."""
    return mapping in stack.own_mappings()


def _missing(stack: Stack, subject: Stack) -> Iterator[Problem]:
    if not stack.own_mappings():
        yield Problem(
            what="no event source mapping brings the table's stream to the relay",
            risk="nothing is published, and the stream forgets after 24 hours",
            aws="outbox deploy",
            terraform='resource "aws_lambda_event_source_mapping", from the table\'s stream to the relay',
        )


def _stream(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    table = known(stack.table, stack, "table")
    current = known(table.stream_arn, table, "stream_arn")
    read = known(mapping.stream_arn, mapping, "stream_arn")
    if read != current:
        yield Problem(
            what=f"the mapping reads {read or 'no stream'}, and the table's stream is {current or 'off'}",
            risk="a stream that was switched off and on is another one: nothing is published any more",
            aws="outbox deploy, and then aws lambda delete-event-source-mapping --uuid "
            f"{mapping.mapping_id or '<uuid>'}",
            terraform="event_source_arn = aws_dynamodb_table.<name>.stream_arn",
        )


def _state(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    if not known(mapping.enabled, mapping, "enabled"):
        yield Problem(
            what="the mapping is switched off",
            risk="nothing is published, and what is older than 24 hours only a sweep can still bring",
            aws=_update(mapping, "--enabled"),
            terraform="enabled = true (mapping_enabled = true)",
        )
    result = known(mapping.last_result, mapping, "last_result")
    if result.startswith(("PROBLEM", "FAILED")):
        yield Problem(
            what=f"Lambda's last result was: {result}",
            risk="the stream's records are tried again and nothing passes until it is mended",
            aws="mend what it says; the function's log has more",
            terraform="mend what it says; the function's log has more",
        )


def _starting_position(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    position = known(mapping.starting_position, mapping, "starting_position")
    if position != "TRIM_HORIZON":
        yield Problem(
            what=f"the mapping begins at {position}",
            risk="what is written while the mapping is made, or changed, is not brought: these messages stay "
            "behind until a sweep",
            aws="outbox deploy after aws lambda delete-event-source-mapping --uuid "
            f"{mapping.mapping_id or '<uuid>'} (the position of a mapping cannot be changed)",
            terraform='starting_position = "TRIM_HORIZON"',
        )


def _partial_reports(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    if "ReportBatchItemFailures" not in known(mapping.response_types, mapping, "response_types"):
        yield Problem(
            what="the mapping does not read which records failed",
            risk="Lambda takes the relay's report for success: what could not be published is passed over",
            aws=_update(mapping, "--function-response-types ReportBatchItemFailures"),
            terraform='function_response_types = ["ReportBatchItemFailures"]',
        )


def _retries(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    attempts = known(mapping.retry_attempts, mapping, "retry_attempts")
    if attempts >= 0:
        yield Problem(
            what=f"Lambda gives a batch up after {attempts} retries",
            risk="what failed takes everything behind it in the batch along: healthy messages are dropped. "
            "The relay parks what cannot be published, so there is no need to give up",
            aws=_update(mapping, "--maximum-retry-attempts -1"),
            terraform="maximum_retry_attempts = -1",
        )


def _record_age(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    age = known(mapping.record_age_seconds, mapping, "record_age_seconds")
    if 0 <= age < _SHORTEST_AGE:
        risk = f"an outage of {age} s makes Lambda drop what was written in it"
    elif age < 0 or age >= _STREAM_SECONDS:
        risk = "the stream forgets after 24 hours, which no metric shows: nobody is told of what is lost"
    else:
        return
    yield Problem(
        what=f"records are given up after {age} s" if age >= 0 else "records are never given up",
        risk=risk,
        aws=_update(mapping, "--maximum-record-age-in-seconds 82800"),
        terraform="maximum_record_age_in_seconds = 82800",
    )


def _on_failure(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    destination = known(mapping.on_failure, mapping, "on_failure")
    aws = _update(mapping, "--destination-config OnFailure={Destination=arn:aws:s3:::<bucket>}")
    terraform = 'destination_config { on_failure { destination_arn = "arn:aws:s3:::<bucket>" } }'
    if destination:
        if destination.split(":")[2:3] != ["s3"]:
            yield Problem(
                what=f"what Lambda gives up is told to {destination}",
                risk="a queue or a topic is told where records were in the stream, which has forgotten them "
                "a day later; a bucket is given the whole event",
                aws=aws,
                terraform=terraform,
                severity="info",
            )
        return
    sweeper = known(stack.sweeper, stack, "sweeper")
    if not known(sweeper.exists, sweeper, "exists"):
        yield Problem(
            what=f"what Lambda gives up is kept nowhere, and there is no sweeper {sweeper.function_name}",
            risk="messages of an outage of nearly a day stay outstanding in the table, and nobody takes "
            "them up",
            aws=f"outbox deploy --sweeper --on-failure arn:aws:s3:::<bucket>, or {aws}",
            terraform=terraform,
        )


def _parallelization(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    factor = known(mapping.parallelization_factor, mapping, "parallelization_factor")
    if factor <= 1:
        return
    configuration = stack.configuration()
    routes = configuration.outbox_allowed_topics
    keeps_order = configuration.outbox_table_design.keyed_by == "aggregate"
    if keeps_order and (routes is None or any(map(is_ordered_route, routes))):
        yield Problem(
            what=f"{factor} batches of a shard are relayed at a time",
            risk="Lambda keeps the order of an item only: messages of one aggregate overtake each other",
            aws=_update(mapping, "--parallelization-factor 1"),
            terraform="parallelization_factor = 1",
        )


def _bisect(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    if not known(mapping.bisects, mapping, "bisects"):
        yield Problem(
            what="a batch that ends in an error is not halved",
            risk="a batch on which the function dies, for memory or time, comes as it is until it expires",
            aws=_update(mapping, "--bisect-batch-on-function-error"),
            terraform="bisect_batch_on_function_error = true",
        )


def _tumbling_window(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    window = known(mapping.tumbling_window_seconds, mapping, "tumbling_window_seconds")
    if window:
        yield Problem(
            what=f"the mapping has a tumbling window of {window} s",
            risk="Lambda expects a state in the answer, invokes the relay without records at the end of each "
            "window, and may bring records out of order when it brings them again",
            aws=_update(mapping, "--tumbling-window-in-seconds 0"),
            terraform="tumbling_window_in_seconds = 0, or none",
        )


def _metrics(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    if "EventCount" not in known(mapping.metrics, mapping, "metrics"):
        yield Problem(
            what="the mapping counts no events",
            risk="no alarm can tell that Lambda dropped records or wrote them to the destination",
            aws=_update(mapping, "--metrics-config Metrics=EventCount"),
            terraform='metrics_config { metrics = ["EventCount"] }',
        )


def _readers(stack: Stack, subject: Stack) -> Iterator[Problem]:
    mappings = known(stack.mappings, stack, "mappings")
    reading = [each for each in mappings if known(each.enabled, each, "enabled")]
    for each in reading:
        if not _own(stack, each) and known(each.relays, each, "relays"):
            yield Problem(
                what=f"{each.function_name} is a relay of the same stream",
                risk="every message is published twice",
                aws=_update(each, "--no-enabled"),
                terraform="one aws_lambda_event_source_mapping of a relay for each table",
            )
    own = [each for each in reading if _own(stack, each)]
    if len(own) > 1:
        yield Problem(
            what=f"the relay has {len(own)} mappings that are on",
            risk="of one stream, every message is published twice; of an old one, nothing comes any more",
            aws=_update(own[1], "--no-enabled"),
            terraform="one aws_lambda_event_source_mapping of a relay for each table",
        )
    if len(reading) > 2:
        yield Problem(
            what=f"{len(reading)} functions read the stream",
            risk="DynamoDB serves two readers of a shard: all of them are throttled and fall behind",
            aws="let one function read, and send from there what the others need",
            terraform="let one function read, and send from there what the others need",
            severity="warning",
        )


def _filter(stack: Stack, mapping: MappingFacts) -> Iterator[Problem]:
    texts = known(mapping.patterns, mapping, "patterns")
    configuration = stack.configuration()
    design, strategy = configuration.outbox_table_design, configuration.outbox_mark_strategy
    aws = "outbox deploy, which writes the filter of the table's design"
    terraform = f"filter_criteria of the design, for {design.not_dispatched}"
    if not texts:
        yield Problem(
            what="the mapping has no filter",
            risk="each mark of the relay invokes the relay again: twice the invocations, for nothing",
            aws=aws,
            terraform=terraform,
            severity="warning",
        )
        return
    try:
        patterns = [parse_pattern(text) for text in texts]
        lost = [name for name, record in _needed(design).items() if not _brings(patterns, record)]
        vain = [name for name, record in _own_writes(design, strategy).items() if _brings(patterns, record)]
    except UnknownPatternError as error:
        raise NotKnownError(mapping.name, f"its filter cannot be worked out: {error}") from error
    if lost:
        yield Problem(
            what=f"the filter holds back {', '.join(lost)}",
            risk="these messages are never published: what does not match is not brought again",
            aws=aws,
            terraform=terraform,
        )
    if vain:
        yield Problem(
            what=f"the filter brings {', '.join(vain)}",
            risk="the relay is invoked by what it has written itself: more invocations, for nothing",
            aws=aws,
            terraform=terraform,
            severity="warning",
        )


def _brings(patterns: list[dict[str, Any]], record: dict[str, Any]) -> bool:
    return any(matches_pattern(pattern, record) for pattern in patterns)


def _record(event: str, design: TableDesign, new: str | None, old: str | None) -> dict[str, Any]:
    """Write a record as the stream has it; a marker of "" is none."""

    def image(marker: str) -> dict[str, Any]:
        names = (design.partition_key, design.sort_key, design.message_id, design.aggregate_id, design.topic)
        item: dict[str, Any] = {name: {"S": "-"} for name in (*names, design.body) if name is not None}
        return {**item, design.not_dispatched: {"S": marker}} if marker else item

    images = {"NewImage": new, "OldImage": old}
    return {
        "eventName": event,
        "dynamodb": {name: image(marker) for name, marker in images.items() if marker is not None},
    }


def _needed(design: TableDesign) -> dict[str, dict[str, Any]]:
    return {
        "new messages": _record("INSERT", design, "07", None),
        "messages with the marker x": _record("INSERT", design, "x", None),
        "what a sweep touched": _record("MODIFY", design, "07", "07"),
        "what was redriven": _record("MODIFY", design, "07", PARKED),
    }


def _own_writes(design: TableDesign, strategy: MarkStrategy) -> dict[str, dict[str, Any]]:
    marks = {
        "the relay's own deletions": _record("REMOVE", design, None, "07")
    } if strategy == "delete" else {"the relay's own marks": _record("MODIFY", design, "", "07")}  # fmt: skip
    return {
        **marks,
        "what the relay parked": _record("MODIFY", design, PARKED, "07"),
        "expired items": _record("REMOVE", design, None, ""),
    }


def _check(id_: str, severity: Any, title: str, look: Any, about: Any = "mapping") -> Check:
    return Check(id=id_, about=about, severity=severity, title=title, look=look)


MAPPING_CHECKS: tuple[Check, ...] = (
    _check("mapping.exists", "error", "A mapping brings the stream to the relay.", _missing, "stack"),
    _check("mapping.readers", "error", "One relay reads the stream, by one mapping.", _readers, "stack"),
    _check("mapping.stream", "error", "The mapping reads the table's current stream.", _stream),
    _check("mapping.state", "error", "The mapping is on, and its last batch was no failure.", _state),
    _check("mapping.starting-position", "error", "It begins at TRIM_HORIZON.", _starting_position),
    _check("mapping.partial-reports", "error", "Lambda reads which records failed.", _partial_reports),
    _check("mapping.filter", "error", "The filter brings all that is outstanding, and no more.", _filter),
    _check("mapping.retries", "error", "Lambda does not give up after some retries.", _retries),
    _check("mapping.record-age", "warning", "Records are given up shortly before 24 hours.", _record_age),
    _check("mapping.on-failure", "warning", "What is given up is kept or swept.", _on_failure),
    _check("mapping.parallelization", "error", "Where order is kept, one batch at a time.", _parallelization),
    _check("mapping.bisect", "warning", "A batch that ends in an error is halved.", _bisect),
    _check("mapping.tumbling-window", "warning", "There is no tumbling window.", _tumbling_window),
    _check("mapping.metrics", "info", "The mapping counts events.", _metrics),
)
