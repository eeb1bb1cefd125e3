"""The sweep of claimed bodies: the bucket is listed page by page, and what nobody can need any more goes."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, assert_never

from outbox_sdk.core.claim import ClaimPlace
from outbox_sdk.core.claim_sweep import ClaimSweepReport, is_young, judge_body, pair_notes
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.retry import Deadline, plan_deadline
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.lookups import lookup_all

__all__ = ["sweep_claims"]

# Its types tell an answer's shape by literals, and pages are asked for by what an answer says.
_S3Client = Any

_PAGE_SIZE = 1_000
"""S3 lists so many keys at a time, and deletes as many."""

_MAX_NOTES_AT_A_TIME = 16


async def sweep_claims(
    context: RelayContext,
    s3: _S3Client,
    place: ClaimPlace,
    *,
    minimum_age_days: float,
    remaining_seconds: float | None = None,
    pause_seconds: float = 0.0,
) -> ClaimSweepReport:
    """Delete the claimed bodies that neither an item nor a copy in a queue can need any more.

    A body whose item is in the table stays. When a sweep first finds the item gone it leaves a note beside
    the body, and a sweep that finds it gone still, ``minimum_age_days`` and the stream's one day later,
    deletes both. Nothing is decided where the table does not answer.

    Within ``pause_seconds`` of the end of the last complete sweep, whoever made it, nothing is done.

    Not promised: that all is listed within ``remaining_seconds``; the report says so. That a body goes at
    once: it may be needed by a copy of its message in a queue, which nobody can look up.

    Raises:
        ConfigurationError: ``minimum_age_days`` is less than one.
    """
    if minimum_age_days < 1:
        raise ConfigurationError("minimum_age_days", f"{minimum_age_days} is less than one day")
    deadline = plan_deadline(asyncio.get_running_loop().time(), remaining_seconds)
    run = _Run(context, s3, place, minimum_age=minimum_age_days * 86_400.0, deadline=deadline)
    await run.sweep(pause_seconds)
    return run.report()


class _Run:
    """One sweep under way."""

    def __init__(
        self,
        context: RelayContext,
        s3: _S3Client,
        place: ClaimPlace,
        *,
        minimum_age: float,
        deadline: Deadline,
    ) -> None:
        self._context = context
        self._s3 = s3
        self._place = place
        self._minimum_age = minimum_age
        self._deadline = deadline
        self._clock = asyncio.get_running_loop().time
        self._found = 0
        self._deleted = 0
        self._kept: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._complete = False
        self._due = True

    def report(self) -> ClaimSweepReport:
        return ClaimSweepReport(
            found=self._found,
            deleted=self._deleted,
            kept=dict(sorted(self._kept.items())),
            failures=dict(sorted(self._failures.items())),
            complete=self._complete,
            due=self._due,
        )

    async def sweep(self, pause: float) -> None:
        notes = _Notes(self._list(self._place.notes))
        try:
            if pause > 0 and await self._was_swept_since(self._context.now() - pause):
                self._complete, self._due = True, False
                return
            async for page in self._list(self._place.bodies):
                await self._sweep_page(page, notes)
                if self._late():
                    return
            await self._delete(list(await notes.take(self._place, until=None)))
            self._complete = True
            await self._write([self._place.swept])
        except _UnlistedError as error:
            self._failures[error.code] += 1

    async def _was_swept_since(self, instant: float) -> bool:
        # Listed rather than read, which would need one more right.
        async for page in self._list(self._place.swept):
            if any(key == self._place.swept and written >= instant for key, written in page):
                return True
        return False

    def _late(self) -> bool:
        return self._clock() >= self._deadline.stop

    async def _sweep_page(self, page: Sequence[tuple[str, float]], notes: "_Notes") -> None:
        # Gather.
        self._found += len(page)
        noted = await notes.take(self._place, until=page[-1][0])
        bodies = tuple(pair_notes(page, noted, self._place, self._context.design))
        now = self._context.now()
        # Several attempts may have written a body for one item.
        keys = {body.item_key: None for body in bodies if not is_young(body, now)}
        lookups = await lookup_all(self._context, [key for key in keys if key is not None], self._deadline)
        for result in lookups.values():
            if isinstance(result, Unreadable):
                self._failures[result.code] += 1

        # Decide.
        missed, stale, orphaned = [], set(noted), []
        for body in bodies:
            note = self._note_of(body.key)
            stale.discard(note)
            if body.item_key is None:
                self._kept["foreign"] += 1
                continue
            judgement = judge_body(body, lookups.get(body.item_key), now=now, minimum_age=self._minimum_age)
            match judgement:
                case "orphaned":
                    orphaned.append(body.key)
                    continue
                case "missed":
                    missed.append(note)
                case "back":
                    stale.add(note)
                case "young" | "needed" | "unread" | "waiting":
                    pass
                case _:
                    assert_never(judgement)
            self._kept[judgement] += 1

        # Apply: a note goes when its body has gone.
        await self._write(missed)
        gone = await self._delete(orphaned)
        self._deleted += len(gone)
        await self._delete([*sorted(stale), *map(self._note_of, gone)])

    def _note_of(self, key: str) -> str:
        return self._place.notes + key.removeprefix(self._place.bodies)

    async def _list(self, prefix: str) -> AsyncIterator[Sequence[tuple[str, float]]]:
        """Give the keys under a prefix, in order, with when each was written; no page is empty."""
        cursor: dict[str, str] = {}
        while True:
            try:
                answer = await self._s3.list_objects_v2(
                    Bucket=self._place.bucket, Prefix=prefix, MaxKeys=_PAGE_SIZE, **cursor
                )
            except Exception as error:
                raise _UnlistedError(translate_error(error).code) from error
            page = [(each["Key"], each["LastModified"].timestamp()) for each in answer.get("Contents", ())]
            if page:
                yield page
            if not answer.get("IsTruncated"):
                return
            cursor = {"ContinuationToken": answer["NextContinuationToken"]}

    async def _write(self, keys: Sequence[str]) -> None:
        """Write empty objects, over those that are there.

        There is nothing to keep secret in them, and with a key of S3's own the sweeper needs no right to
        the bucket's.
        """
        slots = asyncio.Semaphore(_MAX_NOTES_AT_A_TIME)

        async def write(key: str) -> None:
            async with slots:
                try:
                    await self._s3.put_object(
                        Bucket=self._place.bucket, Key=key, Body=b"", ServerSideEncryption="AES256"
                    )
                except Exception as error:
                    self._failures[translate_error(error).code] += 1

        await asyncio.gather(*map(write, keys))

    async def _delete(self, keys: Sequence[str]) -> list[str]:
        """Delete objects; give the keys of those that have gone."""
        gone: list[str] = []
        for start in range(0, len(keys), _PAGE_SIZE):
            part = keys[start : start + _PAGE_SIZE]
            delete = {"Objects": [{"Key": key} for key in part], "Quiet": True}
            try:
                answer = await self._s3.delete_objects(Bucket=self._place.bucket, Delete=delete)
            except Exception as error:
                self._failures[translate_error(error).code] += 1
                continue
            kept = {failure.get("Key", ""): failure.get("Code", "") for failure in answer.get("Errors") or ()}
            self._failures.update(kept.values())
            gone.extend(key for key in part if key not in kept)
        return gone


class _UnlistedError(Exception):
    """A page could not be listed, and what comes behind it is not known."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Notes:
    """The notes, read only as far as the bodies have been: both are listed in one order."""

    def __init__(self, pages: AsyncIterator[Sequence[tuple[str, float]]]) -> None:
        self._pages = pages
        self._waiting: deque[tuple[str, float]] = deque()
        self._ended = False

    async def take(self, place: ClaimPlace, *, until: str | None) -> dict[str, float]:
        """Take the notes of bodies up to the key ``until``, or all that are left; when each was written."""
        bound = None if until is None else place.notes + until.removeprefix(place.bodies)
        while not self._ended and (bound is None or not self._waiting or self._waiting[-1][0] < bound):
            try:
                self._waiting.extend(await anext(self._pages))
            except StopAsyncIteration:
                self._ended = True
        taken = {}
        while self._waiting and (bound is None or self._waiting[0][0] <= bound):
            key, written = self._waiting.popleft()
            taken[key] = written
        return taken
