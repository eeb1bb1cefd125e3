"""The reference's handler: an item to a message, published and marked, record by record."""

import datetime
from functools import lru_cache
from typing import Any

from aiobotocore.session import get_session
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_settings import BaseSettings

__all__ = ["handler"]

logger = Logger(service="reference", level="WARNING")
processor = AsyncBatchProcessor(event_type=EventType.DynamoDBStreams)


class Settings(BaseSettings):
    dynamodb_outbox_table_name: str
    aws_endpoint_url: str | None = None
    aws_sns_topic_prefix: str = ""
    aws_account_id: str = "123456789012"
    aws_region: str = "us-east-1"
    outbox_skip_mark_messages_as_dispatched: bool = False


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    return Settings()


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return async_process_partial_response(
        event=event, record_handler=relay_record, processor=processor, context=context
    )


async def relay_record(record: DynamoDBRecord) -> None:
    change = record.dynamodb
    if change is None or change.new_image is None:
        return
    image = change.new_image
    if "NotDispatched" not in image:
        return
    await publish(image)
    if not get_settings().outbox_skip_mark_messages_as_dispatched:
        await mark(change.keys, int(image.get("DispatchCount", 0)))


async def publish(image: dict[str, Any]) -> None:
    settings = get_settings()
    arn = f"arn:aws:sns:{settings.aws_region}:{settings.aws_account_id}:{settings.aws_sns_topic_prefix}"
    attributes: Any = {
        name: {"DataType": "String", "StringValue": image[name]}
        for name in ("MessageId", "AggregateId", "CorrelationId")
        if image.get(name)
    }
    async with get_session().create_client("sns", endpoint_url=settings.aws_endpoint_url) as sns:
        await sns.publish(
            TopicArn=arn + image["Topic"], Message=image["Message"], MessageAttributes=attributes
        )


async def mark(keys: dict[str, Any] | None, dispatch_count: int) -> None:
    settings = get_settings()
    async with get_session().create_client("dynamodb", endpoint_url=settings.aws_endpoint_url) as dynamodb:
        await dynamodb.update_item(
            TableName=settings.dynamodb_outbox_table_name,
            Key={name: {"S": value} for name, value in (keys or {}).items()},
            UpdateExpression="SET IsDispatched = :yes, LastDispatchedAt = :now, DispatchCount = :count "
            "REMOVE NotDispatched",
            ExpressionAttributeValues={
                ":yes": {"BOOL": True},
                ":now": {"S": datetime.datetime.now(datetime.UTC).isoformat()},
                ":count": {"N": str(dispatch_count + 1)},
            },
        )
