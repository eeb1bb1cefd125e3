"""Faults of SNS and of the way there, 28 to 38: what is tried again, what is parked, what is reported."""

from tests.faults.support import entry_failure, message_entry, open_bench, parked, published


async def test_fault_30_entry_refused_for_its_own_sake() -> None:
    """An entry that SNS refuses for its own sake is parked by its code, and its neighbours go."""
    bench = open_bench({1: entry_failure("InvalidParameter", sender_fault=True)})

    done = await bench.relay_items(*(message_entry(f"m{number}") for number in range(3)))

    assert published(bench.topics) == ["m0", "m2"]
    assert parked(bench.table) == {"m1": "InvalidParameter"}
    assert done.reported == []
    assert done.events == [("message_parked", "WARNING")]
