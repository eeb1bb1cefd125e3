"""The demo's verdict and its reading of files: if these were blind, a green demo would prove nothing."""

import json

import pytest

from outbox_sdk.demo.messages import DemoMessage, InputLineError, generate_messages, parse_lines
from outbox_sdk.demo.report import DemoReport, Received, Written, judge, received_line
from outbox_sdk.demo.run import OUTBOX


def written(*positions: int, topic: str = "t.fifo", aggregate_id: str = "a") -> dict[str, Written]:
    return {
        f"m{position}": Written(
            message_id=f"m{position}",
            aggregate_id=aggregate_id,
            topic=topic,
            body=f"body {position}",
            position=position,
        )
        for position in positions
    }


def received(*positions: int, topic: str = "t.fifo", body: str = "body {}") -> list[Received]:
    return [
        Received(message_id=f"m{position}", aggregate_id="a", topic=topic, body=body.format(position))
        for position in positions
    ]


def verdict(sent: dict[str, Written], got: list[Received], published: int = 3, marked: int = 3) -> DemoReport:
    return judge(sent, got, published=published, marked=marked, seconds=1.0)


def test_all_received_once_and_in_order_is_success() -> None:
    report = verdict(written(1, 2, 3), received(1, 2, 3))

    assert report.succeeded
    assert (report.written, report.received, report.lost) == (3, 3, 0)


@pytest.mark.parametrize(
    ("got", "lost", "duplicates", "violations"),
    [
        (received(1, 2), 1, 0, 0),
        (received(1, 2, 3, 2), 0, 1, 0),
        (received(1, 3, 2), 0, 0, 1),
        (received(3, 1, 2), 0, 0, 2),
        (received(1, 2, 3) + received(9), 0, 1, 0),
        (received(1, 2, 3, body="changed {}"), 3, 0, 0),
        (received(1, 2, 3, topic="other.fifo"), 3, 0, 0),
    ],
    ids=["lost", "doubled", "swapped", "first late", "unknown", "changed", "elsewhere"],
)
def test_each_kind_of_failure_is_counted(
    got: list[Received], lost: int, duplicates: int, violations: int
) -> None:
    report = verdict(written(1, 2, 3), got)

    assert (report.lost, report.duplicates, report.order_violations) == (lost, duplicates, violations)
    assert not report.succeeded


def test_order_is_counted_on_fifo_topics_only() -> None:
    assert verdict(written(1, 2, 3, topic="t"), received(3, 2, 1, topic="t")).order_violations == 0


@pytest.mark.parametrize(("published", "marked"), [(4, 3), (2, 3), (3, 2)])
def test_a_count_that_differs_is_no_success(published: int, marked: int) -> None:
    assert not verdict(written(1, 2, 3), received(1, 2, 3), published=published, marked=marked).succeeded


def test_generated_messages_are_as_many_as_asked_and_numbered_within_their_order() -> None:
    for count in (1, 2, 9, 30, 1000):
        messages = list(generate_messages(count))
        versions: dict[str, list[int]] = {}
        for message in messages:
            if message.sequence is not None:
                versions.setdefault(message.aggregate_id, []).append(message.sequence)
        assert len(messages) == count
        assert all(own == list(range(1, len(own) + 1)) for own in versions.values())


def parse(*lines: bytes) -> list[DemoMessage]:
    return parse_lines(lines, OUTBOX)


def line(message: str, aggregate_id: str = "a", topic: str = "t") -> bytes:
    return f'{{"aggregate_id": "{aggregate_id}", "topic": "{topic}", "message": {message}}}\n'.encode()


def test_a_body_is_the_raw_slice_of_its_line() -> None:
    (message,) = parse(line('{ "price": 1.50,  "naïve": "\\u00e9 日本" }'))

    assert message.message == '{ "price": 1.50,  "naïve": "\\u00e9 日本" }'
    assert not message.verbatim


def test_a_string_is_the_body_verbatim() -> None:
    (message,) = parse(line('"{\\"looks\\": \\"like JSON\\"}"'))

    assert message.message == '{"looks": "like JSON"}'
    assert message.verbatim


@pytest.mark.parametrize("body", ["1", "-0.0", "1e400", "null", "true", "[]", "{}", '"x"', '" "', "[1 , 2]"])
def test_a_received_line_has_the_message_in_the_form_it_had(body: str) -> None:
    (message,) = parse(line(body))
    got = Received(message_id="m", aggregate_id="a", topic="t", body=message.message)

    out = received_line(got, verbatim=message.verbatim)

    assert out.endswith(b'"message":' + body.encode() + b"}\n")
    assert out.count(b"\n") == 1


BAD_LINES = {
    "blank": b"\n",
    "not JSON": b"not json\n",
    "no object": b"[]\n",
    "no message": b'{"aggregate_id": "a", "topic": "t"}\n',
    "wrong type": b'{"aggregate_id": 1, "topic": "t", "message": 1}\n',
    "one field more": b'{"aggregate_id": "a", "topic": "t", "message": 1, "more": 2}\n',
    "two values": line("1").rstrip() + b" trailing\n",
    "empty body": line('""'),
    "NUL": line('"\\u0000"'),
    "half a pair": line('"\\ud800"'),
    "no aggregate": line("1", aggregate_id=""),
    "no topic name": line("1", topic="no such/topic"),
    "long key": line("1", aggregate_id="a" * 3_000),
    "too large": line('"' + "x" * 262_145 + '"'),
    "no UTF-8": b'{"aggregate_id": "a", "topic": "t", "message": {"x": "\xff"}}\n',
    "nested deep": line("[" * 100_000 + "]" * 100_000),
    "byte order mark": b"\xef\xbb\xbf" + line("1"),
}


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_refused_with_its_number(bad: bytes) -> None:
    with pytest.raises(InputLineError, match=r"^line 3: .") as raised:
        parse(line("1"), line("2"), bad, line("3"))

    assert raised.value.number == 3
    assert len(str(raised.value)) < 300


def test_lines_end_only_at_a_line_feed() -> None:
    """A separator of Unicode's stands inside a string like any other character."""
    text = json.dumps("a\u2028b\u0085c", ensure_ascii=False)

    assert parse(line(text))[0].message == "a\u2028b\u0085c"
