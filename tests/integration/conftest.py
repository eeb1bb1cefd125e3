"""The local servers, one of each per worker, clients for them, and the package of the functions."""

from tests.support.fixtures import aws_client, deployed, dynamodb_local, ministack, moto, unique

__all__ = ["aws_client", "deployed", "dynamodb_local", "ministack", "moto", "unique"]
