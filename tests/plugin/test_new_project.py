"""A new project that installs the wheel: a short test with the fixtures passes, and needs no network."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from tests.support.documents import ROOT

TEST = """\
import msgspec
import pytest
from outbox_sdk import Catalog, Outbox, message

@message("order.created", topic="order--created")
class OrderCreated(msgspec.Struct):
    order_id: str

outbox = Outbox("outbox", catalog=Catalog(OrderCreated))

@pytest.fixture(scope="session")
def outbox_catalog():
    return Catalog(OrderCreated)

@pytest.mark.asyncio
async def test_an_order_is_announced(outbox_stack):
    async with outbox.transaction(outbox_stack.dynamodb) as tx:
        tx.publish(OrderCreated("7"), aggregate_id="7")
    with outbox_stack.faults(crash_after_publish=True):
        await outbox_stack.drain()
    outbox_stack.assert_published(OrderCreated, order_id="7")
    outbox_stack.assert_nothing_outstanding()
"""
NO_NETWORK = """
import socket

def connect(self, address, original=socket.socket.connect):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"there is no network: {address}")
    return original(self, address)

socket.socket.connect = connect
"""


def test_twenty_lines_pass_where_the_wheel_is_installed(tmp_path: Path) -> None:
    installed, project = tmp_path / "installed", tmp_path / "project"
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    project.mkdir()
    (project / "test_orders.py").write_text(TEST)
    (project / "conftest.py").write_text(NO_NETWORK)

    # -S: without the .pth files of this environment, by which the checkout would be found.
    ran = subprocess.run(
        [sys.executable, "-S", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        env={
            "HOME": str(tmp_path),
            "PATH": "/nowhere",
            "PYTHONPATH": f"{installed}:{sysconfig.get_path('platlib')}",
        },
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "1 passed" in ran.stdout, ran.stdout[-3_000:]
    assert len([line for line in TEST.splitlines() if line]) <= 20
