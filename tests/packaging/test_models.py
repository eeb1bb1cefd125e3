"""The cut of botocore's data leaves everything as it was that a kept operation can reach."""

import gzip
import json
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.model import ServiceModel, Shape
from botocore.regions import EndpointResolver

from outbox_sdk.packaging.models import carried_operations, cut_endpoints, cut_model

DATA = Path(botocore.__file__).parent / "data"
SERVICES = carried_operations()


def full_model(service: str) -> dict[str, Any]:
    path = max((DATA / service).glob("*/service-2.json.gz"))  # of the newest version, as botocore picks it
    document: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document


def describe(shape: Shape | None, seen: tuple[str, ...] = ()) -> Any:
    """Write a shape out to its leaves; one that contains itself is named the second time."""
    if shape is None or shape.name in seen:
        return None if shape is None else shape.name
    deeper = (*seen, shape.name)
    parts = {name: describe(member, deeper) for name, member in getattr(shape, "members", {}).items()}
    for name in ("member", "key", "value"):
        if hasattr(shape, name):
            parts[f"its {name}"] = describe(getattr(shape, name), deeper)
    return shape.type_name, shape.metadata, shape.serialization, parts


def codes_of(shapes: Any) -> list[str]:
    # The stubs do not know that the shapes of errors are structures, which have one.
    return [shape.error_code for shape in shapes]


@pytest.mark.parametrize("service", SERVICES)
def test_requests_answers_and_errors_are_read_as_before(service: str) -> None:
    full = ServiceModel(full_model(service), service)
    cut = ServiceModel(cut_model(full_model(service), SERVICES[service]), service)

    assert cut.metadata == full.metadata
    assert [(each.name, each.type) for each in cut.client_context_parameters] == [
        (each.name, each.type) for each in full.client_context_parameters
    ]
    assert cut.operation_names == SERVICES[service]
    for name in SERVICES[service]:
        before, after = full.operation_model(name), cut.operation_model(name)
        assert describe(after.input_shape) == describe(before.input_shape)
        assert describe(after.output_shape) == describe(before.output_shape)
        assert [describe(shape) for shape in after.error_shapes] == [describe(s) for s in before.error_shapes]
        assert codes_of(after.error_shapes) == codes_of(before.error_shapes)
        for part in ("http", "auth_type", "endpoint", "context_parameters", "operation_context_parameters"):
            assert getattr(after, part) == getattr(before, part)


def test_most_of_a_model_goes() -> None:
    before, after = full_model("dynamodb"), cut_model(full_model("dynamodb"), SERVICES["dynamodb"])

    assert len(after["shapes"]) < len(before["shapes"]) / 3
    assert "<p>" in json.dumps(before)
    assert "<p>" not in json.dumps(after)


def test_members_may_be_called_as_the_model_calls_its_own_parts() -> None:
    model: dict[str, Any] = {
        "operations": {"Get": {"input": {"shape": "Input", "documentation": "<p>Text.</p>"}}, "Put": {}},
        "shapes": {
            "Input": {
                "type": "structure",
                "members": {"shape": {"shape": "Text"}, "documentation": {"shape": "Text"}},
            },
            "Text": {"type": "string", "documentation": "<p>Text.</p>"},
            "Unused": {"type": "string"},
        },
    }

    cut = cut_model(model, ["Get"])

    assert cut["operations"] == {"Get": {"input": {"shape": "Input"}}}
    assert cut["shapes"] == {"Input": model["shapes"]["Input"], "Text": {"type": "string"}}


def test_an_operation_that_the_model_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError, match="NoSuchCall"):
        cut_model(full_model("sns"), ["NoSuchCall"])


def test_endpoints_are_found_as_before_in_every_region() -> None:
    document = json.loads((DATA / "endpoints.json").read_bytes())
    prefixes = {full_model(service)["metadata"]["endpointPrefix"] for service in SERVICES}
    full, cut = EndpointResolver(document), EndpointResolver(cut_endpoints(document, prefixes))

    assert cut.get_available_partitions() == full.get_available_partitions()
    regions = [region for partition in document["partitions"] for region in partition["regions"]]
    assert len(regions) > 30
    for region in [*regions, "eu-middle-9"]:
        assert cut.get_partition_for_region(region) == full.get_partition_for_region(region)
        for prefix in prefixes:
            assert cut.construct_endpoint(prefix, region) == full.construct_endpoint(prefix, region)
