"""The local servers, one of each per worker, and clients for them."""

from tests.support.fixtures import aws_client, dynamodb_local, ministack, moto, unique

__all__ = ["aws_client", "dynamodb_local", "ministack", "moto", "unique"]
