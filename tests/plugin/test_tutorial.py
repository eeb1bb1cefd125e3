"""The tutorial on tests is followed to its end, with the files that it has its reader write."""

import re

import pytest

from tests.support.documents import ROOT, read_blocks

PAGE = ROOT / "docs" / "tutorials" / "test-your-service.md"
FILES = {
    "2. The service": "orders.py",
    "3. What the tests need to know": "conftest.py",
    "8. Laws for all your events": "test_laws.py",
}
FEWER = """
from hypothesis import settings

settings.register_profile("fewer", max_examples=10)
settings.load_profile("fewer")
"""


@pytest.mark.parametrize("kind", ["memory", pytest.param("embedded", marks=pytest.mark.once)])
def test_all_tests_of_the_tutorial_pass(pytester: pytest.Pytester, kind: str) -> None:
    follow(pytester)

    run(pytester, kind).assert_outcomes(passed=7)


def test_without_its_guard_the_consumer_acts_three_times(pytester: pytest.Pytester) -> None:
    follow(pytester)
    service = pytester.path / "orders.py"
    service.write_text(re.sub(r".*tx\.guard.*\n", "", service.read_text()))

    run(pytester, "memory", "test_orders.py").assert_outcomes(passed=2, failed=1)


def follow(pytester: pytest.Pytester) -> None:
    """Write the files of the page; what belongs to no other is the test file, in pieces."""
    written: dict[str, str] = {}
    for block in read_blocks(PAGE):
        if block.language == "python":
            name = FILES.get(block.heading, "test_orders.py")
            written[name] = written.get(name, "") + block.text + "\n\n"
        elif block.language == "ini":
            written["pytest.ini"] = block.text
    # Hypothesis' hundred examples take what the other tests take together.
    written["conftest.py"] += FEWER
    for name, text in written.items():
        (pytester.path / name).write_text(text)


def run(pytester: pytest.Pytester, kind: str, *files: str) -> pytest.RunResult:
    """In a process of its own: the page's modules have names that others have too."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", f"--outbox-stack={kind}", *files)
