"""The fixtures as a project has them: what it overrides, what it chooses, and what it is told."""

import socket

import pytest

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.pytest_plugin.endpoint import open_endpoint

CONFTEST = """
import pytest
from tests.support.plugin_events import CATALOG

@pytest.fixture(scope="session")
def outbox_catalog():
    return CATALOG
"""
TEST = """
import os
import pytest
from tests.support.plugin_events import OUTBOX, OrderCreated

@pytest.mark.parametrize("order", ["7", "8"])
async def test_an_order_is_announced({fixture}, order):
    async with OUTBOX.transaction({fixture}.dynamodb) as tx:
        tx.publish(OrderCreated(order, 5), aggregate_id=order)
    await {fixture}.drain()
    {fixture}.assert_published(OrderCreated, order_id=order)
    assert len({fixture}.published()) == 1, "another test's"
    {fixture}.assert_nothing_outstanding()
    assert {fixture}.variables().items() <= os.environ.items()
    assert not ({fixture}.variables() and {{"AWS_PROFILE", "AWS_ENDPOINT_URL_SNS"}} & os.environ.keys())
"""
INI = "[pytest]\nasyncio_mode = auto\n"


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", *arguments)


@pytest.mark.parametrize("kind", ["embedded", "memory"])
def test_each_test_has_an_outbox_of_its_own(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """And its environment leads there, whatever that of the developer says."""
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "https://sns.eu-west-1.amazonaws.com")
    pytester.makeconftest(CONFTEST)
    pytester.makeini(INI)
    pytester.makepyfile(TEST.format(fixture="outbox_stack"))

    run(pytester, f"--outbox-stack={kind}").assert_outcomes(passed=2)


def test_the_stack_in_memory_is_there_beside_the_other(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(TEST.format(fixture="outbox_memory_stack"))

    run(pytester).assert_outcomes(passed=2)


def test_a_setting_chooses_the_stack_and_the_option_overrules_it(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI + "outbox_stack = https://sns.eu-west-1.amazonaws.com\n")
    pytester.makepyfile(TEST.format(fixture="outbox_stack"))

    refused = run(pytester)
    refused.assert_outcomes(errors=2)
    refused.stdout.fnmatch_lines(["*outbox_stack: sns.eu-west-1.amazonaws.com is AWS itself*"])
    run(pytester, "--outbox-stack=memory").assert_outcomes(passed=2)


def test_a_project_names_its_table_topics_and_design(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    pytester.makeconftest(
        """
        import pytest
        from outbox_sdk import TableDesign

        @pytest.fixture(scope="session")
        def outbox_topics():
            return ["further"]

        @pytest.fixture(scope="session")
        def outbox_table_name():
            return "events"

        @pytest.fixture(scope="session")
        def outbox_design():
            return TableDesign.message_keyed
        """
    )
    pytester.makepyfile(
        """
        from outbox_sdk import Outbox, TableDesign

        async def test_it(outbox_stack):
            outbox = Outbox("events", design=TableDesign.message_keyed)
            async with outbox.transaction(outbox_stack.dynamodb) as tx:
                tx.publish("{}", aggregate_id="7", topic="further")
            await outbox_stack.drain()
            assert [message.topic for message in outbox_stack.published()] == ["further"]
            assert outbox_stack.table_name == "events"
        """
    )

    run(pytester, "--outbox-stack=memory").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("https://dynamodb.us-east-1.amazonaws.com", "AWS itself"),
        ("https://dynamodb.cn-north-1.amazonaws.com.cn", "AWS itself"),
        ("https://sqs.eu-west-1.api.aws", "AWS itself"),
        ("embeded", "none of embedded, moto, memory"),
        ("ftp://127.0.0.1", "none of embedded, moto, memory"),
        ("http://", "none of embedded, moto, memory"),
    ],
)
def test_what_is_no_server_of_ones_own_is_refused(kind: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem), open_endpoint(kind):
        pass


def test_a_server_that_is_there_already_is_used_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with open_endpoint(url) as endpoint:
            pass
        assert endpoint.url == url
        assert endpoint.account_id is None  # it is asked for its own
        assert endpoint.variables()["AWS_ENDPOINT_URL"] == endpoint.url
