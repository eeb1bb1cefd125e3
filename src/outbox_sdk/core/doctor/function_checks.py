"""What is looked at in the functions: entry point, environment, time, runtime, package; and the sweeper."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from outbox_sdk.core.configuration import VARIABLES, parse_environment
from outbox_sdk.core.destinations import is_ordered_route
from outbox_sdk.core.doctor.facts import FunctionFacts, Stack, SweeperFacts, known
from outbox_sdk.core.doctor.finding import Check, Problem
from outbox_sdk.core.doctor.runtimes import SUPPORTED_UNTIL
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.function import DEFAULT_RUNTIME, HANDLERS, RUNTIMES

__all__ = ["FUNCTION_CHECKS"]

_SOON = timedelta(days=90)
_SETTLING_SECONDS = 10.0
"""For a cold start, a request that is tried again, marks, and the answer."""
_SECONDS_A_MESSAGE = 0.02
"""A request to SNS and back. In a lane, each waits for the one before it."""
_ENTRIES = 10
_ENDPOINT = "AWS_ENDPOINT_URL"


def _update(function_name: str, arguments: str) -> str:
    return f"aws lambda update-function-configuration --function-name {function_name} {arguments}"


def _exists(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    name = function.function_name
    if not known(function.exists, function, "exists"):
        yield Problem(
            what=f"there is no function {name}",
            risk="nothing is published",
            aws="outbox deploy, or outbox doctor --function <the relay's name>",
            terraform="name = <what the relay is called after>",
        )
        return
    state = known(function.state, function, "state")
    if state:
        yield Problem(
            what=f"the function does not work: {state}",
            risk="nothing is published until it does",
            aws="outbox deploy, which tries the last change again",
            terraform="terraform apply",
        )


def _handler(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    handler, wanted = known(function.handler, function, "handler"), HANDLERS["relay"]
    if handler != wanted:
        yield Problem(
            what=f"the function's entry point is {handler}",
            risk="it is not this relay, and nothing that is promised of it holds",
            aws=_update(function.function_name, f"--handler {wanted}"),
            terraform=f'handler = "{wanted}"',
        )


def _environment(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    variables = known(function.variables, function, "variables")
    try:
        configuration = parse_environment(variables)
    except ConfigurationError as error:
        yield Problem(
            what=f"the function cannot start: {error}",
            risk="every invocation fails, and nothing is published",
            aws=f"outbox deploy with a good {error.variable}",
            terraform=f"environment: a good {error.variable}",
        )
        return
    table = known(stack.table, stack, "table")
    name = configuration.dynamodb_outbox_table_name
    if name != table.table_name:
        yield Problem(
            what=f"the relay marks in the table {name}, and this is {table.table_name}",
            risk="what was published is not marked, and is published again and again",
            aws=f"outbox deploy --table {table.table_name}",
            terraform=f'DYNAMODB_OUTBOX_TABLE_NAME = "{table.table_name}"',
        )


def _endpoint(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    named = [name for name in known(function.variables, function, "variables") if name.startswith(_ENDPOINT)]
    if named and not stack.is_local:
        yield Problem(
            what=f"{', '.join(sorted(named))} leads the function elsewhere than to AWS",
            risk="messages are sent to whoever listens there",
            aws="outbox deploy without AWS_ENDPOINT_URL",
            terraform=f"environment without {_ENDPOINT}",
        )


def _marks(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    if stack.configuration().outbox_skip_mark_messages_as_dispatched:
        yield Problem(
            what="OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED is true",
            risk="everything stays outstanding: the index grows for ever, and a sweep publishes it all again",
            aws="outbox deploy without OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED",
            terraform="settings without outbox_skip_mark_messages_as_dispatched",
        )


def _reach(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    configuration = stack.configuration()
    if not configuration.aws_sns_topic_prefix and configuration.outbox_allowed_topics is None:
        yield Problem(
            what="neither AWS_SNS_TOPIC_PREFIX nor OUTBOX_ALLOWED_TOPICS bounds the topics",
            risk="whoever may write an item makes the relay publish it to any topic that its role reaches",
            aws="outbox deploy --topic-prefix <prefix> --allowed-topics <names>",
            terraform="topic_prefix or allowed_topics",
        )


def _timeout(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    timeout = known(function.timeout_seconds, function, "timeout_seconds")
    routes = stack.configuration().outbox_allowed_topics
    in_lanes = routes is None or any(map(is_ordered_route, routes))
    for mapping in stack.own_mappings():
        size = known(mapping.batch_size, mapping, "batch_size")
        requests = size if in_lanes else -(-size // _ENTRIES)
        needed = int(_SETTLING_SECONDS + requests * _SECONDS_A_MESSAGE)
        if timeout < needed:
            yield Problem(
                what=f"{size} records a batch have {timeout} s, and one lane of them needs about {needed} s",
                risk="the relay gives back what it has no time for, and Lambda brings it again: it falls "
                "behind, and an invocation that is cut off publishes a batch twice",
                aws=_update(function.function_name, f"--timeout {min(900, needed)}")
                + ", or a smaller --batch-size of the mapping",
                terraform=f"relay_timeout = {min(900, needed)}, or a smaller batch_size",
            )


def _runtime(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    runtime = known(function.runtime, function, "runtime")
    aws = f"outbox deploy --runtime {DEFAULT_RUNTIME}"
    terraform = f'runtime = "{DEFAULT_RUNTIME}", and a package built for it'
    until, today = SUPPORTED_UNTIL.get(runtime), stack.taken_at.date()
    if runtime not in RUNTIMES:
        yield Problem(
            what=f"no package is built for the runtime {runtime}",
            risk="the function does not start, or runs without AWS's security updates",
            aws=aws,
            terraform=terraform,
            severity="error",
        )
    elif until is not None and until <= today + _SOON:
        over = until <= today
        yield Problem(
            what=f"AWS {'ended' if over else 'ends'} the support of {runtime} on {until}",
            risk="no security updates, and a little later the function cannot be changed any more, not even "
            "to mend it",
            aws=aws,
            terraform=terraform,
            severity="error" if over else "warning",
        )


def _concurrency(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    reserved = known(function.reserved_concurrency, function, "reserved_concurrency")
    if reserved == 0:
        yield Problem(
            what="the function has no concurrency",
            risk="it is never invoked: nothing is published",
            aws=f"aws lambda delete-function-concurrency --function-name {function.function_name}",
            terraform="reserved_concurrent_executions = -1 (relay_reserved_concurrency = null)",
        )


def _package(stack: Stack, function: FunctionFacts) -> Iterator[Problem]:
    expected = known(stack.expected_code, stack, "expected_code")
    if known(function.code_sha256, function, "code_sha256") not in expected:
        yield Problem(
            what="the function runs another package than this version of the library has",
            risk="an older relay may not know what a newer producer or console writes",
            aws="outbox deploy",
            terraform="package_file = <the zip of this version>",
        )


def _clock(stack: Stack, subject: Stack) -> Iterator[Problem]:
    skew = known(stack.clock_skew_seconds, stack, "clock_skew_seconds")
    if abs(skew) >= _WRONG_SECONDS:
        yield Problem(
            what=f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS's",
            risk="a producer with such a clock writes CreatedAt in a wrong order, and what it writes is "
            "swept too early or too late; AWS refuses requests that are five minutes off",
            aws="set the clock: timedatectl set-ntp true",
            terraform="set the clock: timedatectl set-ntp true",
            severity="error" if abs(skew) >= _REFUSED_SECONDS else "warning",
        )


_WRONG_SECONDS = 10.0
_REFUSED_SECONDS = 300.0

_SHARED = (
    "dynamodb_outbox_table_name",
    "aws_sns_topic_prefix",
    "outbox_mark_strategy",
    "outbox_envelope",
    "outbox_allowed_topics",
    "outbox_topic_max_bytes",
    "outbox_dispatched_ttl_days",
    "outbox_table_design",
)


def _sweeper(stack: Stack, sweeper: SweeperFacts) -> Iterator[Problem]:
    if not known(sweeper.exists, sweeper, "exists"):
        return  # which mapping.on-failure tells, where it matters
    if not known(sweeper.runs, sweeper, "runs"):
        yield Problem(
            what=f"nothing invokes the sweeper {sweeper.function_name}",
            risk="what the stream has forgotten stays outstanding, and nobody is told",
            aws="outbox deploy --sweeper",
            terraform='aws_scheduler_schedule of the sweeper, with state = "ENABLED"',
        )


def _sweeper_settings(stack: Stack, sweeper: SweeperFacts) -> Iterator[Problem]:
    if not known(sweeper.exists, sweeper, "exists"):
        return
    own = _settings(known(sweeper.variables, sweeper, "variables"))
    relay = known(stack.function, stack, "function")
    wanted = _settings(known(relay.variables, relay, "variables"))
    differing = [name for name in wanted if wanted[name] != own[name]]
    if differing:
        yield Problem(
            what=f"relay and sweeper differ in {', '.join(differing)}",
            risk="the sweeper looks in another table, or does not find or understand what is in this one",
            aws="outbox deploy --sweeper",
            terraform="the same environment for both functions",
        )


def _settings(variables: Mapping[str, str]) -> dict[str, str]:
    names = [variable.names[0] for variable in VARIABLES if variable.field in _SHARED]
    return {name: variables.get(name, "") for name in names}


def _check(id_: str, severity: Any, title: str, look: Any, about: Any = "function") -> Check:
    return Check(id=id_, about=about, severity=severity, title=title, look=look)


FUNCTION_CHECKS: tuple[Check, ...] = (
    _check("function.exists", "error", "The relay is there and works.", _exists),
    _check("function.handler", "error", "Its entry point is the relay's.", _handler),
    _check("function.environment", "error", "It can start, and marks in this table.", _environment),
    _check("function.endpoint", "error", "Nothing leads it elsewhere than to AWS.", _endpoint),
    _check("function.marks", "warning", "What was published is marked.", _marks),
    _check("function.topics", "warning", "A prefix or a list bounds the topics.", _reach),
    _check("function.timeout", "warning", "Its time suffices for a batch in one lane.", _timeout),
    _check("function.runtime", "warning", "AWS supports the runtime for some time to come.", _runtime),
    _check("function.concurrency", "error", "It may run.", _concurrency),
    _check("function.package", "info", "It runs this version's package.", _package),
    _check("sweeper.schedule", "error", "A schedule invokes the sweeper.", _sweeper, "sweeper"),
    _check("sweeper.settings", "error", "Relay and sweeper are told the same.", _sweeper_settings, "sweeper"),
    _check("clock.skew", "warning", "This machine's clock is AWS's.", _clock, "stack"),
)
