"""The generated policies: what each role may never do, whatever is configured, and what it may just do."""

import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from outbox_sdk.core.backlog import Touch, list_bucket_request, touch_request
from outbox_sdk.core.claim import ClaimPlace
from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.destinations import parse_route
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Partition, Region, TableName, TopicName
from outbox_sdk.core.mark import (
    MARK_STRATEGIES,
    Mark,
    Park,
    delete_marks_request,
    mark_request,
    mark_statements_request,
    park_request,
)
from outbox_sdk.core.operations import ROLES, Role
from outbox_sdk.core.permissions import (
    MAX_POLICY_CHARACTERS,
    Grants,
    policy_document,
    topic_arns,
    trust_policy,
)
from outbox_sdk.core.place import Place
from outbox_sdk.core.routing import Routing, resolve_route, resolve_topic
from outbox_sdk.core.table import TableDesign
from tests.property import strategies as our
from tests.support.iam import AccessRequest, is_allowed, list_grants
from tests.support.iam_requests import Caller, requests_of

ATTRIBUTES = "dynamodb:Attributes"
KEYS = tuple(f"arn:aws:kms:eu-west-1:123456789012:key/{number}" for number in range(3))
DESTINATIONS = (
    "arn:aws:s3:::failures",
    "arn:aws:sqs:eu-west-1:123456789012:failures",
    "arn:aws:sns:eu-west-1:123456789012:failures",
)
PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
REPRESENTATIVE = RelayConfiguration(
    dynamodb_outbox_table_name=TableName("outbox"), aws_sns_topic_prefix="dev-", outbox_dispatched_ttl_days=7
)

ROUTES = ("sqs:billing", "sqs:billing.fifo", "eventbridge:orders", "kinesis:orders")
ELSEWHERE = (("region", "eu-central-1"), ("account_id", "999999999999"), ("partition", "aws-us-gov"))


# What is drawn


class Case(msgspec.Struct, frozen=True):
    """A deployment of one role, and its policy."""

    role: Role
    configuration: RelayConfiguration
    place: Place
    grants: Grants

    @property
    def policy(self) -> dict[str, Any]:
        return policy_document(self.role, self.configuration, self.place, self.grants)

    @property
    def table_name(self) -> str:
        return self.configuration.dynamodb_outbox_table_name

    @property
    def table(self) -> str:
        return self.place.arn("dynamodb", f"table/{self.table_name}")

    @property
    def publishes(self) -> bool:
        return self.role != "sweeper" or self.grants.sweeps_publish

    @property
    def deletes(self) -> bool:
        skips = self.configuration.outbox_skip_mark_messages_as_dispatched
        return self.publishes and not skips and self.configuration.outbox_mark_strategy == "delete"

    def allows(self, action: str, resource: str) -> bool:
        """Tell whether the policy allows an action, in the attributes that are named least: none."""
        return is_allowed(self.policy, AccessRequest(action, resource))

    def allows_call(self, operation: str, parameters: dict[str, Any]) -> bool:
        place = self.place
        caller = Caller(place.region, place.account_id, place.partition)
        requests = requests_of("dynamodb", operation, parameters, caller)
        return all(is_allowed(self.policy, request) for request in requests)


NAME = string.ascii_letters + string.digits + "_-"
table_names = st.text(NAME + ".", min_size=3, max_size=20).map(TableName)
places = st.builds(
    Place,
    partition=st.sampled_from([Partition("aws"), Partition("aws-cn")]),
    region=st.sampled_from([Region("eu-west-1"), Region("us-east-1")]),
    account_id=st.sampled_from([AccountId("123456789012"), AccountId("000000000000")]),
)


@st.composite
def cases(draw: st.DrawFn, *, roles: tuple[Role, ...] = ROLES, confine: bool | None = None) -> Case:
    """Draw any deployment that is not refused."""
    routes = our.topic_names() | st.sampled_from(ROUTES).map(TopicName)
    allowed = draw(st.none() | st.frozensets(routes, min_size=1, max_size=4))
    prefix = draw(st.text(NAME, max_size=8))
    configuration = RelayConfiguration(
        dynamodb_outbox_table_name=draw(table_names),
        aws_sns_topic_prefix=prefix,
        outbox_allowed_topics=allowed,
        outbox_mark_strategy=draw(st.sampled_from(MARK_STRATEGIES)),
        outbox_skip_mark_messages_as_dispatched=draw(st.booleans()),
        outbox_dispatched_ttl_days=draw(st.sampled_from([None, 7])),
        outbox_table_design=draw(our.designs()),
        outbox_claim_bucket=draw(st.sampled_from([None, "claims-bucket"])),
        outbox_claim_prefix=draw(st.sampled_from(["claims/", "a/b/"])),
    )
    grants = Grants(
        function_name=draw(st.text(NAME, min_size=1, max_size=64)),
        creates_log_group=draw(st.booleans()),
        on_failure=draw(st.sampled_from([None, *DESTINATIONS])),
        kms_keys=draw(st.lists(st.sampled_from(KEYS), unique=True).map(tuple)),
        sweeps_publish=draw(st.booleans()),
        confine_attributes=draw(st.booleans()) if confine is None else confine,
        allow_any_topic=allowed is None and not prefix,
    )
    return Case(draw(st.sampled_from(roles)), configuration, draw(places), grants)


# What no role may do


@given(cases(), st.data())
def test_no_role_reaches_another_table(case: Case, data: st.DataObject) -> None:
    """Nor one whose name begins as ours does, nor ours in another Region, account or partition."""
    longer = case.table_name + data.draw(st.text(NAME + ".", min_size=1, max_size=5))
    other = data.draw(table_names)
    assume(other != case.table_name)
    actions, _ = list_grants(case.policy)
    tables = [case.place.arn("dynamodb", f"table/{name}") for name in (longer, other, case.table_name[:-1])]
    for field, value in ELSEWHERE:
        place = msgspec.structs.replace(case.place, **{field: value})
        tables.append(place.arn("dynamodb", f"table/{case.table_name}"))

    for table in tables:
        index = f"{table}/index/{case.configuration.outbox_table_design.outstanding_index}"
        for resource in (table, index, f"{table}/stream/2026-11-23T00:00:00.000"):
            for _, action in actions:
                assert not case.allows(action, resource)


@given(cases(), st.data())
def test_a_role_publishes_where_its_relay_would_and_nowhere_else(case: Case, data: st.DataObject) -> None:
    """The policy says the same as the routing does, for names in the list and for any others."""
    place, configuration = case.place, case.configuration
    prefix, allowed = configuration.aws_sns_topic_prefix, configuration.outbox_allowed_topics
    routing = Routing(
        region=place.region,
        account_id=place.account_id,
        partition=place.partition,
        prefix=prefix,
        allowed=allowed,
    )
    names = our.topic_names()
    topics = sorted((allowed or frozenset()) - set(ROUTES))
    name = data.draw(names | st.sampled_from(topics) if topics else names)
    arn = resolve_topic(name, routing)

    assert case.allows("sns:Publish", str(arn)) == (case.publishes and isinstance(arn, str))
    for topic in (name, prefix + name, f"{prefix}{name}-2"):
        reachable = (
            topic.startswith(prefix) if allowed is None else topic in {prefix + each for each in topics}
        )
        if not (case.role == "relay" and case.grants.on_failure == place.arn("sns", topic)):
            assert case.allows("sns:Publish", place.arn("sns", topic)) == (case.publishes and reachable)
        for field, value in ELSEWHERE:
            foreign = msgspec.structs.replace(place, **{field: value})
            assert not case.allows("sns:Publish", foreign.arn("sns", topic))


@given(cases(), st.sampled_from(ROUTES))
def test_a_role_reaches_other_destinations_only_where_they_are_named(case: Case, route: str) -> None:
    place, allowed = case.place, case.configuration.outbox_allowed_topics
    routing = Routing(
        region=place.region, account_id=place.account_id, partition=place.partition, allowed=allowed
    )
    parsed = parse_route(route)
    assert parsed is not None
    kind, name = parsed
    arn = place.arn(kind.service, f"{kind.resource}{name}")
    named = allowed is not None and route in allowed

    assert (resolve_route(route, routing) == arn) == named
    assert case.allows(kind.action, arn) == (case.publishes and named)
    for other in (f"{arn}-2", arn[:-1], place.arn(kind.service, f"{kind.resource}*")):
        assert not case.allows(kind.action, other)
    for field, value in ELSEWHERE:
        foreign = msgspec.structs.replace(place, **{field: value})
        assert not case.allows(kind.action, foreign.arn(kind.service, f"{kind.resource}{name}"))


def test_keys_are_used_by_way_of_the_services_that_are_published_to() -> None:
    allowed = frozenset({TopicName("sqs:billing"), TopicName("kinesis:orders")})
    configuration = msgspec.structs.replace(REPRESENTATIVE, outbox_allowed_topics=allowed)

    document = policy_document("relay", configuration, PLACE, Grants(function_name="r", kms_keys=KEYS[:1]))

    by_sid = {statement["Sid"]: statement for statement in document["Statement"]}
    assert by_sid["UseKeys"]["Condition"]["StringEquals"]["kms:ViaService"] == [
        f"{service}.eu-west-1.amazonaws.com" for service in ("dynamodb", "kinesis", "sqs")
    ]
    assert "Publish" not in by_sid
    assert by_sid["SendToQueues"]["Resource"] == ["arn:aws:sqs:eu-west-1:123456789012:billing"]
    assert by_sid["PutRecords"]["Resource"] == ["arn:aws:kinesis:eu-west-1:123456789012:stream/orders"]


FOREIGN = ("CreateTable", "DeleteTable", "UpdateTable", "Scan", "GetItem", "PutItem", "DeleteItem")
FOREIGN_STATEMENTS = ("PartiQLDelete", "PartiQLInsert", "PartiQLSelect")


@given(cases())
def test_no_role_does_what_no_relay_does(case: Case) -> None:
    topics = topic_arns(case.configuration, case.place, allow_any_topic=True)
    for action in (*FOREIGN, *FOREIGN_STATEMENTS):
        assert not case.allows(f"dynamodb:{action}", case.table)
    assert not case.allows("dynamodb:Query", case.table)
    for topic in topics:
        for action in ("CreateTopic", "DeleteTopic", "SetTopicAttributes", "Subscribe", "AddPermission"):
            assert not case.allows(f"sns:{action}", topic.replace("*", "x"))
    for action in ("iam:PassRole", "iam:PutRolePolicy", "sts:AssumeRole", "lambda:InvokeFunction"):
        assert not case.allows(action, "*")
        assert not case.allows(action, f"arn:aws:iam::{case.place.account_id}:role/any")


@given(cases())
def test_rights_depend_on_role_and_strategy(case: Case) -> None:
    """Only who deletes may delete, only the sweeper lists the backlog, only who publishes may publish."""
    actions = {action for _, action in list_grants(case.policy)[0]}
    skips = case.configuration.outbox_skip_mark_messages_as_dispatched
    strategy = case.configuration.outbox_mark_strategy
    index = f"{case.table}/index/{case.configuration.outbox_table_design.outstanding_index}"

    assert case.allows("dynamodb:BatchWriteItem", case.table) == case.deletes
    assert ("dynamodb:PartiQLUpdate" in actions) == (case.publishes and not skips and strategy == "batch")
    assert case.allows("dynamodb:Query", index) == (case.role == "sweeper")
    assert not case.allows("dynamodb:Query", f"{index}-2")
    if not case.publishes:
        assert "sns:Publish" not in actions
    assert ("dynamodb:DescribeTable" in actions) == (case.role == "follower")
    assert ("logs:PutLogEvents" in actions) == (case.role != "follower")
    assert ("logs:CreateLogGroup" in actions) == (case.role != "follower" and case.grants.creates_log_group)


@given(cases())
def test_no_statement_is_wide_and_each_has_a_name_of_its_own(case: Case) -> None:
    policy = case.policy
    names = [statement["Sid"] for statement in policy["Statement"]]
    actions, resources = list_grants(policy)
    text = json.dumps(policy, separators=(",", ":"))

    assert len(set(names)) == len(names)
    assert all(statement["Effect"] == "Allow" for statement in policy["Statement"])
    assert not any("*" in action for _, action in actions)
    ends = ("/stream/*", "/*", ":*", f"{case.configuration.aws_sns_topic_prefix}*")
    for _, resource in resources:
        assert resource.startswith("arn:")
        assert resource.count("*") <= 1
        assert "*" not in resource or resource.endswith(ends)
    assert len(text) <= MAX_POLICY_CHARACTERS


@given(cases(), st.data())
def test_only_a_sweeper_of_claims_reaches_them_and_only_its_tables(case: Case, data: st.DataObject) -> None:
    """It lists, notes and deletes; nobody reads a body, and nobody writes one over."""
    configuration = case.configuration
    bucket, prefix = configuration.outbox_claim_bucket or "claims-bucket", configuration.outbox_claim_prefix
    sweeps = case.role == "sweeper" and configuration.outbox_claim_bucket is not None
    place = ClaimPlace(bucket, prefix, case.table_name)
    name = data.draw(st.text(NAME + "!/", min_size=1, max_size=20))
    caller = Caller(case.place.region, case.place.account_id, case.place.partition)

    def allows(operation: str, *, account: str | None = None, **parameters: Any) -> bool:
        asked = caller if account is None else Caller(caller.region, account, caller.partition)
        requests = requests_of("s3", operation, {"Bucket": bucket, **parameters}, asked)
        return all(is_allowed(case.policy, request) for request in requests)

    def deletes(*keys: str, **options: Any) -> bool:
        return allows("DeleteObjects", Delete={"Objects": [{"Key": key} for key in keys]}, **options)

    for listed in (place.bodies, place.notes, place.swept):
        assert allows("ListObjectsV2", Prefix=listed) == sweeps
        assert not allows("ListObjectsV2", Prefix=listed, account="999999999999")
        assert not allows("ListObjectsV2", Prefix=listed, Bucket=f"{bucket}-2")
    assert deletes(place.bodies + name, place.notes + name) == sweeps
    assert not deletes(place.bodies + name, account="999999999999")
    for noted in (place.notes + name, place.swept):
        assert allows("PutObject", Key=noted) == sweeps
    assert not allows("PutObject", Key=place.bodies + name)
    for elsewhere in (prefix, "", f"{prefix}{case.table_name}", f"{prefix}{case.table_name}2/body/"):
        assert not allows("ListObjectsV2", Prefix=elsewhere)
        assert not deletes(elsewhere + name) or elsewhere + name in (place.bodies, place.notes)
    for action in ("GetObject", "GetObjectVersion", "DeleteObjectVersion", "PutBucketPolicy", "DeleteBucket"):
        for resource in (bucket, f"{bucket}/{place.bodies}{name}"):
            arn = f"arn:{case.place.partition}:s3:::{resource}"
            assert not is_allowed(
                case.policy,
                AccessRequest(f"s3:{action}", arn, {"s3:ResourceAccount": (case.place.account_id,)}),
            )


# What a role may do: its own requests and no others


@given(cases(), st.data())
def test_what_our_own_requests_name_is_allowed_and_no_other_attribute(
    case: Case, data: st.DataObject
) -> None:
    design, table = case.configuration.outbox_table_design, case.table_name
    mark: Mark = data.draw(our.marks(design))
    park: Park = data.draw(our.parks(design))
    if case.configuration.outbox_dispatched_ttl_days is None:
        mark = msgspec.structs.replace(mark, expires_at=None)
    touch = Touch(key=mark.key, marker=mark.marker, now="2026", unless_since="2025")
    strategy = case.configuration.outbox_mark_strategy
    marks = case.publishes and not case.configuration.outbox_skip_mark_messages_as_dispatched
    calls: list[tuple[str, dict[str, Any], bool]] = [
        ("UpdateItem", park_request(park, design, table, now="2026"), case.publishes),
        ("UpdateItem", touch_request(touch, design, table), case.role == "sweeper"),
        ("UpdateItem", mark_request(mark, design, table), marks and strategy == "single"),
        (
            "BatchExecuteStatement",
            mark_statements_request([mark], design, table),
            marks and strategy == "batch",
        ),
        ("BatchWriteItem", delete_marks_request([mark], table), marks and strategy == "delete"),
        (
            "Query",
            list_bucket_request("x", design, table, cursor=None, limit=1),
            case.role == "sweeper",
        ),
    ]

    for operation, parameters, needed in calls:
        if needed:
            assert case.allows_call(operation, parameters), (operation, parameters)
    if case.grants.confine_attributes:
        named = {
            name
            for operation, parameters, needed in calls
            if needed and operation in ("UpdateItem", "BatchExecuteStatement")
            for name in attributes_of(operation, parameters)
        }
        assert confined(case) <= named | {design.expires_at}
        assert named <= confined(case)


def attributes_of(operation: str, parameters: dict[str, Any]) -> set[str]:
    requests = requests_of("dynamodb", operation, parameters, Caller("r", "a"))
    return {name for request in requests for name in request.keys[ATTRIBUTES]}


def confined(case: Case) -> set[str]:
    (condition,) = [
        statement["Condition"]["ForAllValues:StringEquals"]
        for statement in case.policy["Statement"]
        if statement["Sid"] == "UpdateItems"
    ]
    return set(condition[ATTRIBUTES])


@given(cases(confine=True))
def test_a_confined_role_cannot_change_a_message(case: Case) -> None:
    design = case.configuration.outbox_table_design
    keys = [name for name in (design.partition_key, design.sort_key) if name is not None]
    item = {name: {"S": "k"} for name in keys}
    assert ({design.expires_at} <= confined(case)) == (
        case.publishes
        and case.configuration.outbox_dispatched_ttl_days is not None
        and not case.configuration.outbox_skip_mark_messages_as_dispatched
        and case.configuration.outbox_mark_strategy != "delete"
    )
    for name in (
        design.body,
        design.topic,
        design.message_id,
        design.aggregate_id,
        design.headers,
        design.hops,
    ):
        update = {
            "TableName": case.table_name,
            "Key": item,
            "UpdateExpression": "SET #marker = :v, #name = :v",
            "ExpressionAttributeNames": {"#marker": design.not_dispatched, "#name": name},
        }
        table, quoted, key = (
            '"' + text.replace('"', '""') + '"' for text in (case.table_name, name, design.partition_key)
        )
        text = f"UPDATE {table} SET {quoted}=? WHERE {key}=?"  # noqa: S608 - nobody carries it out
        assert not case.allows_call("UpdateItem", update)
        assert not case.allows_call("BatchExecuteStatement", {"Statements": [{"Statement": text}]})
        loose = msgspec.structs.replace(
            case, grants=msgspec.structs.replace(case.grants, confine_attributes=False)
        )
        assert loose.allows_call("UpdateItem", update)


# What is refused, and who may take a role on


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_could_reach_any_topic_is_refused_unless_that_is_said(role: Role) -> None:
    bare = RelayConfiguration(dynamodb_outbox_table_name=TableName("outbox"))
    publishing = Grants(function_name="relay", sweeps_publish=True)

    with pytest.raises(ConfigurationError, match=r"PREFIX is empty.*allow_any_topic") as caught:
        policy_document(role, bare, PLACE, publishing)
    assert caught.value.variable == "OUTBOX_ALLOWED_TOPICS"
    told = policy_document(role, bare, PLACE, msgspec.structs.replace(publishing, allow_any_topic=True))

    def publishes(topic: str) -> bool:
        return is_allowed(told, AccessRequest("sns:Publish", topic))

    assert publishes("arn:aws:sns:eu-west-1:123456789012:any")
    assert not publishes("arn:aws:sns:eu-west-1:999999999999:any")
    assert not publishes("arn:aws:sns:eu-west-2:123456789012:any")


def test_a_sweeper_that_only_touches_needs_no_topics() -> None:
    bare = RelayConfiguration(dynamodb_outbox_table_name=TableName("outbox"))

    policy = policy_document("sweeper", bare, PLACE, Grants(function_name="sweeper"))

    assert "sns" not in json.dumps(policy)


def test_a_list_that_allows_no_topic_is_refused() -> None:
    nothing = msgspec.structs.replace(REPRESENTATIVE, outbox_allowed_topics=frozenset())

    with pytest.raises(ConfigurationError, match="OUTBOX_ALLOWED_TOPICS: is empty"):
        topic_arns(nothing, PLACE, allow_any_topic=True)


def test_a_policy_longer_than_iam_takes_is_refused_with_what_makes_it_long() -> None:
    """With a list one topic longer at a time, it is refused from the first one that IAM would not take."""
    grants = Grants(function_name="relay")

    def listed(count: int) -> RelayConfiguration:
        names = frozenset(TopicName(f"{number:0256}") for number in range(count))
        return msgspec.structs.replace(REPRESENTATIVE, outbox_allowed_topics=names, aws_sns_topic_prefix="")

    def length(count: int) -> int:
        return len("".join(json.dumps(policy_document("relay", listed(count), PLACE, grants)).split()))

    one_more = length(2) - length(1)
    most = 1 + (10_240 - length(1)) // one_more

    assert 10_240 - one_more < length(most) <= 10_240
    for count in (most + 1, 100):
        with pytest.raises(ConfigurationError, match=r"^OUTBOX_ALLOWED_TOPICS: makes .* IAM takes 10240"):
            policy_document("relay", listed(count), PLACE, grants)
    with pytest.raises(ConfigurationError, match=r"^kms_keys: makes the policy \d+ characters long"):
        policy_document("relay", REPRESENTATIVE, PLACE, Grants(function_name="relay", kms_keys=KEYS * 80))


@pytest.mark.parametrize("text", ["*", "a*", "b?", "${aws:username}", "two words"])
@pytest.mark.parametrize(
    "variable", ["table", "prefix", "topic", "index", "function", "failure", "key", "claims"]
)
def test_a_name_that_iam_would_read_as_a_pattern_is_refused(text: str, variable: str) -> None:
    def named(here: str, otherwise: str) -> str:
        return text if variable == here else otherwise

    configuration = RelayConfiguration(
        dynamodb_outbox_table_name=TableName(named("table", "outbox")),
        aws_sns_topic_prefix=named("prefix", "dev-"),
        outbox_allowed_topics=frozenset({TopicName(named("topic", "orders"))}),
        outbox_table_design=msgspec.structs.replace(
            TableDesign.ordered, outstanding_index=named("index", "index")
        ),
        outbox_claim_bucket=named("claims", "claims-bucket"),
    )
    grants = Grants(
        function_name=named("function", "relay"),
        on_failure=f"arn:aws:s3:::{named('failure', 'bucket')}",
        kms_keys=(named("key", KEYS[0]),),
    )

    with pytest.raises(ConfigurationError, match="would be read as a pattern"):
        policy_document("relay", configuration, PLACE, grants)


def test_a_confined_attribute_that_iam_would_read_as_a_variable_is_refused() -> None:
    design = msgspec.structs.replace(TableDesign.ordered, park_reason="${aws:username}")
    configuration = msgspec.structs.replace(REPRESENTATIVE, outbox_table_design=design)

    with pytest.raises(ConfigurationError, match="OUTBOX_TABLE_DESIGN"):
        policy_document("relay", configuration, PLACE, Grants(function_name="r", confine_attributes=True))
    policy_document("relay", configuration, PLACE, Grants(function_name="r"))


@pytest.mark.parametrize("arn", ["bucket", "arn:aws:lambda:eu-west-1:123456789012:function:f", ""])
def test_a_destination_that_lambda_does_not_take_is_refused(arn: str) -> None:
    with pytest.raises(ConfigurationError, match="on_failure"):
        policy_document("relay", REPRESENTATIVE, PLACE, Grants(function_name="relay", on_failure=arn))


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [
        ("aws", "eu-west-1", "amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
    ],
)
def test_keys_are_used_by_way_of_services_as_the_partition_names_them(
    partition: str, region: str, suffix: str
) -> None:
    place = Place(partition=Partition(partition), region=Region(region), account_id=PLACE.account_id)
    grants = Grants(function_name="relay", on_failure=f"arn:{partition}:s3:::failures", kms_keys=KEYS[:1])

    document = policy_document("relay", REPRESENTATIVE, place, grants)

    (statement,) = (each for each in document["Statement"] if each["Sid"] == "UseKeys")
    services = statement["Condition"]["StringEquals"]["kms:ViaService"]
    assert services == [f"{service}.{region}.{suffix}" for service in ("dynamodb", "s3", "sns")]


def test_only_lambda_may_take_a_role_on() -> None:
    assert trust_policy() == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
