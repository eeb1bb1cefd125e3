"""Whole policies, roles, capacities and costs are as they are kept in `tests/golden`."""

import pytest

from tests.golden.planning import DOCUMENTS, kept, written


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_planned_document_is_the_kept_one(name: str) -> None:
    """What differs on purpose is written anew by `python -m tests.golden.planning`, and read."""
    expected, found = kept(name), written(name)

    assert [*found] == [*expected]
    for case, document in found.items():
        assert document == expected[case], case
