"""How hard the property tests look: less on a desk, where they run often, more where they gate."""

import os

from hypothesis import HealthCheck, settings

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
settings.register_profile("thorough", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI", "").lower() == "true" else "default")
)
