"""What holds for every test: how hard properties are looked at, and that no call exceeds its role's policy.

Properties are looked at less on a desk, where they run often, and more where they gate.
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.support import recorded_calls

__all__ = ["pytest_runtest_call", "pytest_runtest_teardown"]

# Before the tests import anything that makes calls.
recorded_calls.install()

settings.register_profile("default", deadline=None, max_examples=40)
settings.register_profile(
    "ci",
    deadline=None,
    # The same examples for the same code, so that a red build is about the change; the blob replays it.
    derandomize=True,
    max_examples=30,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# A mutant that few examples do not kill is one that a small test should.
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=15,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("thorough", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI", "").lower() == "true" else "default")
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Fail a test in which a call was made that the policy of its role denies."""
    result = yield
    recorded_calls.check_calls()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """See of the calls that a fixture made, and of those of a test that has failed otherwise."""
    result = yield
    recorded_calls.check_calls()
    return result
