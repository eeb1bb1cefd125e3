"""Small scope, but all of it: one fault or kill at every await of a batch of six."""

import pytest

from tests.simulation.exhaustive import SMALL_WORLDS, Try, list_tries, play_try


@pytest.mark.once
@pytest.mark.parametrize("world", SMALL_WORLDS)
def test_one_fault_or_kill_anywhere_breaks_nothing(world: str) -> None:
    """Nothing is lost, overtaken, marked too early or repeated for no reason, wherever it strikes."""
    tries = list(list_tries(world))
    broken = [(chosen, run.violations[0]) for chosen in tries if (run := play_try(world, chosen)).violations]
    assert broken == []
    assert len({chosen.call for chosen in tries} - {None}) >= 1  # there was something to hit
    assert len({chosen.step for chosen in tries} - {None}) >= 4


def test_without_a_fault_the_small_worlds_are_published_once() -> None:
    for world in SMALL_WORLDS:
        run = play_try(world, Try())
        assert [len(message.acceptances) for message in run.messages] == [1] * 6


@pytest.mark.once
@pytest.mark.parametrize("world", SMALL_WORLDS)
def test_each_try_takes_effect(world: str) -> None:
    """What is listed really happens: a call meets its fault and all goes another way, or a process ends."""
    calm = play_try(world, Try(), tracing=True)
    for chosen in list_tries(world):
        run = play_try(world, chosen, tracing=True)
        if chosen.step is None:
            rest = tuple(line for line in run.trace if " meets " not in line)
            # What is tried again at once and beside others shows in the number of calls alone.
            assert (rest, len(run.calls)) != (calm.trace, len(calm.calls)), chosen
        else:
            assert sum("ended: killed" in line for line in run.trace) == 1, chosen
