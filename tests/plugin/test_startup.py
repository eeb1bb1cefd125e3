"""The plugin is loaded by every pytest beside the SDK: it brings nothing that nobody has asked for."""

import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys
import outbox_sdk.pytest_plugin.plugin
print(json.dumps(sorted(sys.modules)))
"""
WITHOUT_THE_EXTRA = """
import sys
sys.modules["pytest_asyncio"] = None
import pytest
plugins = ["-p", "outbox_sdk.pytest_plugin.plugin", "-p", "no:cacheprovider", "-p", "no:asyncio"]
sys.exit(pytest.main([*plugins, "-q"]))
"""


def test_the_plugin_loads_neither_the_sdk_nor_hypothesis() -> None:
    answer = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = json.loads(answer.stdout)

    own = [name for name in loaded if name.startswith("outbox_sdk")]
    assert own == ["outbox_sdk", "outbox_sdk.pytest_plugin", "outbox_sdk.pytest_plugin.plugin"]
    assert not {"aiobotocore", "botocore", "hypothesis", "moto", "msgspec"} & set(loaded)


def test_without_the_extra_a_fixture_says_what_to_install(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_with_a_stack(outbox_stack):
            pass

        def test_without():
            pass
        """
    )

    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA], cwd=pytester.path,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": "/nowhere"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 'outbox_stack needs pytest-asyncio. Run: pip install "dynamodb-outbox-sdk[testing]"' in ran.stdout
    assert "1 passed, 1 error" in ran.stdout
