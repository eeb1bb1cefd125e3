"""Everyone else at the table: producers, and people who delete, replay and redrive."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.items import bucket_of, is_outstanding
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.testing.simulation.ledger import Ledger
from outbox_sdk.testing.simulation.scenario import Commit, Scenario
from outbox_sdk.testing.simulation.services import TOPIC_MAX_BYTES, SimulatedTable
from outbox_sdk.testing.simulation.tracked import CANARY, EPOCH

__all__ = ["People", "sleep_until"]


async def sleep_until(at: float) -> None:
    """Sleep until a time of the loop's clock."""
    await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))


class People:
    """Whoever writes into the table besides the relay and the sweeper."""

    def __init__(
        self,
        scenario: Scenario,
        table: SimulatedTable,
        *,
        design: TableDesign,
        ledger: Ledger,
        random: Random,
    ) -> None:
        self._scenario = scenario
        self._table = table
        self._design = design
        self._ledger = ledger
        self._random = random

    async def produce(self) -> None:
        """Commit what the scenario says, each transaction at its time."""
        outbox = Outbox("outbox", design=self._design, topic_max_bytes=TOPIC_MAX_BYTES * 4)
        transactions: dict[int, list[Commit]] = {}
        for commit in self._scenario.commits:
            transactions.setdefault(commit.transaction, []).append(commit)
        number = 0
        for commits in transactions.values():
            await sleep_until(commits[0].at)
            items = []
            for commit in commits:
                items.append((commit, self._build_item(outbox, commit, number)))
                number += 1
            for commit, item in items:
                tracked = self._ledger.commit(self._table.key_of(item), commit)
                self._ledger.note("%s committed%s", tracked.name, "" if tracked.good else f": {commit.kind}")
            # DynamoDB promises no order of a transaction's items in the stream.
            if self._random.random() < 0.5:
                items.reverse()
            for _, item in items:
                self._table.put(item)

    async def edit(self) -> None:
        """Change outstanding items in a way that is no concern of the relay's."""
        for at in self._scenario.edits:
            await sleep_until(at)
            outstanding = [
                key for key, item in self._table.items.items() if is_outstanding(item, self._design)
            ]
            if outstanding:
                key = self._random.choice(outstanding)
                self._ledger.note("%s changed by somebody", self._ledger.name(key))
                self._table.put({**self._table.items[key], "Note": {"S": str(at)}})

    async def mend(self) -> None:
        """Mend parked items and redrive them, as the reason tells a person to."""
        for at in self._scenario.mends:
            await sleep_until(at)
            parked = [
                key
                for key, item in self._table.items.items()
                if item.get(self._design.not_dispatched) == {"S": PARKED}
                and not self._ledger.messages[key].good
            ]
            if parked:
                key = self._random.choice(parked)
                commit = self._ledger.mended(key)
                body, topic = {"S": '{"mended":true}'}, {"S": commit.topic}
                self._table.items[key] |= {self._design.body: body, self._design.topic: topic}
                self._redrive(key)

    def _build_item(self, outbox: Outbox, commit: Commit, number: int) -> Mapping[str, Any]:
        size = self._random.choice((0, 40, 400)) if commit.kind != "too_big" else 3 * TOPIC_MAX_BYTES
        entry = outbox.put(
            f'{{"canary":"{CANARY}","pad":"{"x" * size}"}}',
            aggregate_id=commit.aggregate,
            topic="not--allowed" if commit.kind == "not_allowed" else commit.topic,
            message_id=f"m{number}",
            sequence=commit.sequence,
            headers={"Canary": CANARY},
            created_at=datetime.fromtimestamp(EPOCH, UTC)
            + timedelta(seconds=asyncio.get_running_loop().time() + self._skew(commit), microseconds=number),
        )
        item: dict[str, Any] = dict(entry["Put"]["Item"])
        match commit.kind:
            case "no_topic":
                del item[self._design.topic]
            case "empty":
                item[self._design.body] = {"S": ""}
            case _:
                pass
        if commit.foreign:
            item[self._design.not_dispatched] = {"S": "x"}
            for name in (self._design.is_dispatched, self._design.dispatch_count):
                del item[name]
        return item

    def _skew(self, commit: Commit) -> float:
        # Only where the numbers give the order: without them, nothing but the clocks does.
        if commit.sequence is None:
            return 0.0
        return self._scenario.clock_skew * self._random.uniform(-0.5, 0.5)

    async def remove(self) -> None:
        """Delete items, outstanding ones if there are any."""
        for at in self._scenario.removals:
            await sleep_until(at)
            items = self._table.items
            outstanding = [key for key, item in items.items() if is_outstanding(item, self._design)]
            if items:
                key = self._random.choice(outstanding or list(items))
                self._ledger.messages[key].removed = True
                self._ledger.note("%s deleted by somebody", self._ledger.name(key))
                self._table.remove(key)

    async def replay(self) -> None:
        """Send dispatched messages again."""
        for at in self._scenario.replays:
            await sleep_until(at)
            marker = self._design.not_dispatched
            dispatched = [key for key, item in self._table.items.items() if marker not in item]
            if dispatched:
                self._redrive(self._random.choice(dispatched))

    def redrive_held(self) -> bool:
        """Bring back what was parked because the configuration was wrong, in order; tell if there was any."""
        design = self._design
        held = [
            key
            for key, item in self._table.items.items()
            if item.get(design.not_dispatched) == {"S": PARKED}
            and item[design.park_reason]["S"].startswith("held:")
        ]
        for key in sorted(held, key=lambda key: self._table.items[key][design.created_at]["S"]):
            self._redrive(key)
        return bool(held)

    def _redrive(self, key: ItemKey) -> None:
        design = self._design
        gone = {design.parked_at, design.park_reason, design.expires_at}
        item = {name: value for name, value in self._table.items[key].items() if name not in gone}
        count = int(item.get(design.redrive_count, {"N": "0"})["N"]) + 1
        item[design.redrive_count] = {"N": str(count)}
        item[design.not_dispatched] = {"S": bucket_of(item[design.message_id]["S"], 16)}
        self._ledger.note("%s redriven", self._ledger.name(key))
        self._table.put(item)
