"""The console's charts: what is drawn lies within its frame, no peak is lost, and a gap stays one."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.console.charts import HEIGHT, WIDTH, build_chart, nice_ceiling, thin_out

BEGIN = datetime(2026, 11, 23, 9, tzinfo=UTC)
MANY = st.lists(st.none() | st.floats(0, 1e9), min_size=13, max_size=120)
VALUES = st.lists(st.none() | st.floats(0, 1e9), min_size=2, max_size=600)


def times(count: int) -> list[datetime]:
    return [BEGIN + timedelta(seconds=15 * place) for place in range(count)]


@given(VALUES)
def test_points_lie_within_the_frame_and_the_words_name_the_highest(values: list[float | None]) -> None:
    chart = build_chart("Lag", times(len(values)), {"Oldest": values}, lambda value: f"{value:.3f}")
    assert chart is not None
    points = [point.split(",") for path in chart.lines[0].paths for point in path.split()]
    for x, y in points:
        assert chart.left - 0.1 <= float(x) <= chart.right + 0.1
        assert chart.top - 0.1 <= float(y) <= chart.bottom + 0.1
    assert (chart.right, chart.bottom) < (WIDTH, HEIGHT)
    known = [value for value in values if value is not None]
    assert bool(points) == bool(known)
    if known:
        assert f"at most {max(known):.3f}." in chart.summary
    last = "not known" if values[-1] is None else f"{values[-1]:.3f}"
    assert f"now {last}," in chart.summary


@given(MANY, st.integers(2, 12))
def test_thinning_keeps_the_highest_the_order_and_the_gaps(values: list[float | None], limit: int) -> None:
    thin = thin_out(times(len(values)), values, limit)
    assert len(thin) == min(len(values), limit)
    assert [at for at, _ in thin] == sorted(at for at, _ in thin)
    known = [value for value in values if value is not None]
    assert max(known, default=None) == max((value for _, value in thin if value is not None), default=None)
    everything = dict(zip(times(len(values)), values, strict=True))
    assert all(everything[at] == value for at, value in thin)


def test_a_short_peak_among_many_samples_is_drawn() -> None:
    values = [1.0] * 2_880
    values[1_234] = 200.0
    chart = build_chart("Lag", times(len(values)), {"Oldest": values}, str)
    assert chart is not None
    heights = [float(point.partition(",")[2]) for point in chart.lines[0].paths[0].split()]
    assert len(heights) <= 240
    assert min(heights) == chart.top


def test_a_gap_parts_a_line() -> None:
    chart = build_chart("Lag", times(5), {"Oldest": [1, 2, None, 3, 4]}, str)
    assert chart is not None
    assert len(chart.lines[0].paths) == 2


@given(st.floats(0, 1e12))
def test_an_axis_ends_above_its_values_and_not_far_above(value: float) -> None:
    top = nice_ceiling(value)
    assert top >= value
    assert top == 4 or top <= value * 2.5
    assert (top / 4).is_integer()


def test_one_instant_is_no_line() -> None:
    assert build_chart("Lag", times(1), {"Oldest": [1]}, str) is None
    assert build_chart("Lag", [BEGIN, BEGIN], {"Oldest": [1, 2]}, str) is None
