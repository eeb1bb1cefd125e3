"""What is in the zips: no more than the functions need, for one platform, and the same bytes each time."""

import hashlib
import importlib.util
import json
import re
import ssl
import struct
import zipfile
from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from outbox_sdk.core.function import ARCHITECTURES, HANDLERS, Architecture, package_name
from outbox_sdk.core.operations import MARK_OPERATIONS, PUBLISHES, list_operations
from outbox_sdk.packaging import build_package
from outbox_sdk.packaging.contents import LOCK_FILE
from outbox_sdk.packaging.manifest import MANIFEST_NAME, make_manifest, read_manifest
from outbox_sdk.packaging.sbom import write_sbom
from outbox_sdk.packaging.shared_objects import elf_architecture

pytestmark = pytest.mark.once

MAX_BYTES = 3_000_000
PLATFORMS = pytest.mark.parametrize("architecture", ARCHITECTURES)
Packages = Mapping[Architecture, Path]


@pytest.fixture(params=ARCHITECTURES)
def package(request: pytest.FixtureRequest, packages: Packages) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(packages[request.param]) as archive:
        yield archive


def locked() -> dict[str, str]:
    """Read the lock file: versions by name."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", LOCK_FILE.read_text(), re.MULTILINE))


def test_built_again_it_is_the_same_file(packages: Packages, runtime: str, tmp_path: Path) -> None:
    again = build_package("arm64", tmp_path, runtime=runtime)

    assert (
        hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(packages["arm64"].read_bytes()).digest()
    )
    assert [path.name for path in tmp_path.iterdir()] == [package_name("arm64")]


@PLATFORMS
def test_it_is_small(packages: Packages, architecture: Architecture) -> None:
    assert packages[architecture].stat().st_size <= MAX_BYTES


@PLATFORMS
def test_shared_objects_are_for_its_platform(packages: Packages, architecture: Architecture) -> None:
    with zipfile.ZipFile(packages[architecture]) as archive:
        names = [name for name in archive.namelist() if ".so" in Path(name).suffixes]
        machines = {elf_architecture(archive.read(name)) for name in names}

    assert len(names) >= 5
    assert machines == {architecture}


def test_the_runtime_finds_its_shared_objects(package: zipfile.ZipFile, runtime: str) -> None:
    tag = f".cpython-{runtime.removeprefix('python').replace('.', '')}-"

    assert all(tag in name for name in package.namelist() if name.endswith(".so"))


def test_segments_of_shared_objects_are_whole(package: zipfile.ZipFile) -> None:
    """Nothing that the loader maps was cut off; section headers are gone, and said to be."""
    for name in package.namelist():
        if name.endswith(".so"):
            content = package.read(name)
            (table,) = struct.unpack_from("<Q", content, 32)
            size, count = struct.unpack_from("<HH", content, 54)
            headers = [struct.unpack_from("<QQQQ", content, table + size * n + 8) for n in range(count)]
            assert max(offset + length for offset, _, _, length in headers) == len(content)
            assert struct.unpack_from("<Q", content, 40) == (0,)


def test_nothing_is_in_it_that_the_functions_do_not_need(package: zipfile.ZipFile) -> None:
    names = package.namelist()
    tops = {name.partition("/")[0] for name in names}
    suffixes = {Path(name).suffix for name in names if ".dist-info/" not in name}

    assert suffixes == {".json", ".pem", ".py", ".pyc", ".so", ".typed"}
    assert not {"bin", "boto3", "moto", "pip", "pydantic", "pydantic_core", "rich", "typer", "uv"} & tops
    assert not [
        name for name in names if re.search(r"(^|/)(tests?|docs/examples)/|-stubs/|^types_|\.pyi$", name)
    ]
    assert not [name for name in names if re.search(r"paginators|waiters-|examples-", name)]
    assert not [
        name for name in names if re.match(r"aws_lambda_powertools/(event_handler|utilities/parser)", name)
    ]
    in_metadata = {name.split("/")[1] for name in names if ".dist-info/" in name}
    assert all(
        re.match(r"METADATA$|licen[cs]es$|LICEN[CS]E|NOTICE|AUTHORS|COPYING", name) for name in in_metadata
    )


def test_of_this_project_it_has_what_the_handlers_import(package: zipfile.ZipFile) -> None:
    own = {name for name in package.namelist() if name.startswith("outbox_sdk/")}
    modules = {name for name in own if name.endswith(".py")}

    assert {f"{handler.rpartition('.')[0].replace('.', '/')}.py" for handler in HANDLERS.values()} <= modules
    assert {name.split("/")[1] for name in modules if name.count("/") > 1} == {"core", "shell"}
    assert {name for name in modules if name.count("/") == 1} == {
        "outbox_sdk/__init__.py",
        "outbox_sdk/lambda_handler.py",
        "outbox_sdk/sweeper_handler.py",
    }
    for elsewhere in (
        "core.capacity",
        "core.permissions",
        "core.catalog",
        "shell.producer",
        "shell.settings",
    ):
        assert importlib.util.find_spec(f"outbox_sdk.{elsewhere}")
        assert f"outbox_sdk/{elsewhere.replace('.', '/')}.py" not in own
    assert {"outbox_sdk/py.typed", MANIFEST_NAME} <= own


def test_every_module_has_byte_code_that_is_never_compared(package: zipfile.ZipFile) -> None:
    compiled = [name for name in package.namelist() if name.endswith(".pyc")]
    flags = {struct.unpack_from("<I", package.read(name), 4)[0] for name in compiled}
    magics = {package.read(name)[:4] for name in compiled}
    sources = [name for name in package.namelist() if name.endswith(".py")]

    assert flags == {0b01}  # by hash, and not checked
    assert len(magics) == 1
    assert len(compiled) > 300
    for name in sources:
        path = Path(name)
        assert [c for c in compiled if Path(c).parent == path.parent / "__pycache__" and path.stem in c]
    assert all(b"/var/task/" in package.read(name) for name in compiled)
    assert not any(b"outbox-package-" in package.read(name) for name in compiled)


def test_entries_are_in_order_and_carry_neither_time_nor_user(package: zipfile.ZipFile) -> None:
    entries = package.infolist()

    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {(entry.filename.endswith(".so"), oct(entry.external_attr >> 16)) for entry in entries} == {
        (True, "0o100755"),
        (False, "0o100644"),
    }


def test_it_carries_the_operations_that_the_functions_call(package: zipfile.ZipFile) -> None:
    """A new operation of a role is in the models, and one that went is gone."""
    called = {
        (operation.service, operation.name)
        for strategy in MARK_OPERATIONS
        for role in HANDLERS
        for operation in list_operations(
            role,  # type: ignore[arg-type]  # a name
            strategy=strategy,
            sweeps_publish=True,
            sweeps_claims=True,
            services=PUBLISHES,
        )
    }
    carried = {
        (name.split("/")[2], operation)
        for name in package.namelist()
        if re.match(r"botocore/data/[^/]+/[^/]+/service-2\.json$", name)
        for operation in json.loads(package.read(name))["operations"]
    }

    assert carried == called


def test_botocores_data_is_what_its_clients_read(package: zipfile.ZipFile) -> None:
    data = {name.removeprefix("botocore/data/") for name in package.namelist() if "botocore/data/" in name}

    assert data == {
        "_retry.json",
        "dynamodb/2012-08-10/endpoint-rule-set-1.json",
        "dynamodb/2012-08-10/service-2.json",
        "endpoints.json",
        "events/2015-10-07/endpoint-rule-set-1.json",
        "events/2015-10-07/service-2.json",
        "kinesis/2013-12-02/endpoint-rule-set-1.json",
        "kinesis/2013-12-02/service-2.json",
        "s3/2006-03-01/endpoint-rule-set-1.json",
        "s3/2006-03-01/service-2.json",
        "partitions.json",
        "sdk-default-configuration.json",
        "sns/2010-03-31/endpoint-rule-set-1.json",
        "sns/2010-03-31/service-2.json",
        "sqs/2012-11-05/endpoint-rule-set-1.json",
        "sqs/2012-11-05/service-2.json",
    }
    installed = Path(str(importlib.util.find_spec("botocore").origin)).parent  # type: ignore[union-attr]  # it is there
    assert (
        package.read("botocore/data/partitions.json")
        == json.dumps(
            json.loads((installed / "data" / "partitions.json").read_bytes()), separators=(",", ":")
        ).encode()
    )


def test_certificates_are_all_those_that_botocore_trusts(package: zipfile.ZipFile, tmp_path: Path) -> None:
    found = tmp_path / "cacert.pem"
    found.write_bytes(package.read("botocore/cacert.pem"))
    installed = Path(str(importlib.util.find_spec("botocore").origin)).with_name("cacert.pem")  # type: ignore[union-attr]  # it is there
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2)]
    for context, path in zip(contexts, (found, installed), strict=True):
        context.load_verify_locations(path)
    carried, trusted = [context.get_ca_certs(binary_form=True) for context in contexts]

    assert carried == trusted
    assert len(carried) > 100
    assert b"#" not in found.read_bytes()


def test_it_says_what_it_is(packages: Packages, runtime: str) -> None:
    for architecture, path in packages.items():
        manifest = read_manifest(path)
        assert (manifest.architecture, manifest.runtime) == (architecture, runtime)
        assert manifest.compiled_by.startswith(runtime.removeprefix("python") + ".")
        assert manifest == make_manifest(architecture, runtime=runtime, compiled_by=manifest.compiled_by)


def test_distributions_are_those_of_the_lock_file(package: zipfile.ZipFile) -> None:
    found = {}
    for name in package.namelist():
        if name.endswith(".dist-info/METADATA"):
            headers = HeaderParser().parsestr(package.read(name).decode())
            found[re.sub(r"[-_.]+", "-", headers["Name"]).lower()] = headers["Version"]
            assert not headers.get_payload()

    assert found == locked()


@PLATFORMS
def test_the_bill_of_materials_is_valid_and_complete(
    packages: Packages, architecture: Architecture, tmp_path: Path
) -> None:
    package = tmp_path / packages[architecture].name
    package.write_bytes(packages[architecture].read_bytes())
    text = write_sbom(package).read_text()
    document: dict[str, Any] = json.loads(text)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {component["name"]: component["version"] for component in document["components"]}
    assert listed.pop("dynamodb-outbox-sdk")
    assert listed == locked()
    assert {component["purl"] for component in document["components"]} >= {
        f"pkg:pypi/{name}@{version}" for name, version in locked().items()
    }
    (digest,) = document["metadata"]["component"]["hashes"]
    assert digest["content"] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert "timestamp" not in document["metadata"]
    assert write_sbom(package).read_text() == text


def test_the_schema_refuses_what_is_no_bill_of_materials() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str('{"bomFormat": "CycloneDX"}') is not None
