"""What must hold of anybody's events, as property tests to inherit: Hypothesis makes up the events.

The stack is the one in memory: the real relay between doubles, with faults planted between.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.delivery import decode_sqs_record
from outbox_sdk.core.envelope import ENVELOPE_KINDS, EnvelopeKind
from outbox_sdk.core.errors import InvalidMessageError
from outbox_sdk.core.routing import is_fifo
from outbox_sdk.pytest_plugin.faults import COUNTED, FaultPlay, Faults
from outbox_sdk.pytest_plugin.memory import open_memory_stack
from outbox_sdk.pytest_plugin.stack import OutboxStack
from outbox_sdk.pytest_plugin.strategies import events_of
from outbox_sdk.shell.producer import Outbox

__all__ = ["EventLaws", "faults"]

# One law is run by each class that inherits it, and an event may take as long to make as it takes.
_law = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow])
_AGGREGATES = st.sampled_from(["a-1", "a-2", "a-3"])
# More than a relay tries by itself, so that the stream has to bring a batch again.
_TIMES = st.integers(0, 6)


def faults() -> st.SearchStrategy[Faults]:
    """Give faults from which a relay recovers: none, some, or all of them at once."""
    return st.builds(Faults, deliver_twice=st.booleans(), **dict.fromkeys(COUNTED, _TIMES))


class _Committed(NamedTuple):
    message_id: str
    aggregate_id: str
    topic: str
    message_class: type[Any]
    event: Any


class EventLaws:
    """Property tests of the events of a catalog; inherit them in a class that pytest collects.

    ``catalog`` is the service's own, ``envelope`` what its relay is configured with. Override :meth:`events`
    where a class takes less than its annotations say. A law fails as unsatisfied where the outbox refuses
    all that it is given.

    Not promised: that consumers see a message once. They see it again where a fault asks for it, under the
    same id; that they can tell is what :meth:`test_a_repetition_is_known_by_its_id` shows.

    >>> import msgspec
    >>> from outbox_sdk import Catalog, message
    >>> @message("order.created", topic="orders.fifo")
    ... class OrderCreated(msgspec.Struct):
    ...     order_id: str
    >>> class TestOrders(EventLaws):
    ...     catalog = Catalog(OrderCreated)
    >>> TestOrders().test_nothing_is_lost_whatever_fails()
    >>> TestOrders().test_the_order_of_an_aggregate_is_kept()
    """

    catalog: ClassVar[Catalog[Any]]
    envelope: ClassVar[EnvelopeKind] = "raw"

    def events(self, message_class: type[Any]) -> st.SearchStrategy[Any]:
        """Give the strategy for events of one class."""
        return events_of(message_class)

    @_law
    @given(data=st.data(), envelope=st.sampled_from(ENVELOPE_KINDS))
    def test_an_event_arrives_as_it_was_written(self, data: st.DataObject, envelope: EnvelopeKind) -> None:
        """What a consumer decodes is what the producer gave, or it was refused before it was written."""
        stack, committed = asyncio.run(self._commit(self._draw(data, 1), envelope))
        asyncio.run(_drain(stack, Faults()))
        for each in committed:
            assert stack.published(each.message_class) == [each.event]

    @_law
    @given(data=st.data(), planted=faults())
    def test_nothing_is_lost_whatever_fails(self, data: st.DataObject, planted: Faults) -> None:
        """Every message that was committed is published, and nothing is left outstanding."""
        stack, committed = asyncio.run(self._commit(self._draw(data, 6), self.envelope))
        asyncio.run(_drain(stack, planted))
        assert {each.message_id for each in committed} == {each.message_id for each in stack.published()}
        stack.assert_nothing_outstanding()

    @_law
    @given(data=st.data(), planted=faults())
    def test_the_order_of_an_aggregate_is_kept(self, data: st.DataObject, planted: Faults) -> None:
        """On FIFO topics the messages of an aggregate are first accepted as they were committed."""
        if not any(is_fifo(self.catalog.type_of(each).topic) for each in self.catalog):
            pytest.skip("no event of the catalog goes to a FIFO topic")
        stack, committed = asyncio.run(self._commit(self._draw(data, 6), self.envelope))
        asyncio.run(_drain(stack, planted))
        accepted = list(dict.fromkeys(each.message_id for each in stack.published()))
        for lane in {(each.topic, each.aggregate_id) for each in committed if is_fifo(each.topic)}:
            own = [each.message_id for each in committed if (each.topic, each.aggregate_id) == lane]
            assert [message_id for message_id in accepted if message_id in own] == own

    @_law
    @given(data=st.data())
    def test_a_repetition_is_known_by_its_id(self, data: st.DataObject) -> None:
        """A message that is published again has the same id and the same body."""
        stack, committed = asyncio.run(self._commit(self._draw(data, 3), self.envelope))
        asyncio.run(_drain(stack, Faults(deliver_twice=True)))
        copies = [(each.message_id, _body(each.to_sqs_record(), self.envelope)) for each in stack.published()]
        assert len(set(copies)) == len(committed)
        repeated = sum(1 if is_fifo(each.topic) else 2 for each in committed)
        assert len(copies) == repeated  # a FIFO topic drops what comes again within minutes

    def _draw(self, data: st.DataObject, most: int) -> list[tuple[str, type[Any], Any]]:
        classes = st.sampled_from(list(self.catalog))
        one = classes.flatmap(lambda each: st.tuples(_AGGREGATES, st.just(each), self.events(each)))
        return data.draw(st.lists(one, min_size=1, max_size=most), label="(aggregate, class, event)")

    async def _commit(
        self, drawn: Sequence[tuple[str, type[Any], Any]], envelope: EnvelopeKind
    ) -> tuple[OutboxStack, list[_Committed]]:
        """Commit events one after the other; what the outbox refuses is not written, and shows nothing."""
        outbox: Outbox[Any] = Outbox("outbox", catalog=self.catalog)
        stack = open_memory_stack(table_name=outbox.table_name, envelope=envelope)
        committed = []
        for place, (aggregate_id, of, drawn_event) in enumerate(drawn):
            message_id = f"m-{place}"
            try:
                put = outbox.put(drawn_event, of=of, aggregate_id=aggregate_id, message_id=message_id)
            except InvalidMessageError as error:
                event(f"refused: {of.__name__}, {error}")
                continue
            await stack.dynamodb.transact_write_items(TransactItems=[put])
            topic = self.catalog.type_of(of).topic
            committed.append(_Committed(message_id, aggregate_id, topic, of, drawn_event))
        assume(committed)
        return stack, committed


async def _drain(stack: OutboxStack, planted: Faults) -> None:
    """Drain under the faults, whether there is occasion for all of them or not."""
    with stack.playing(FaultPlay(planted)):
        await stack.drain()


def _body(record: Mapping[str, Any], envelope: EnvelopeKind) -> str:
    return decode_sqs_record(record, envelope).body
