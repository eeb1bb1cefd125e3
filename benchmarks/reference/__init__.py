"""The relay to compare with, as the pattern is usually written for Lambda in Python.

Powertools' asynchronous batch processing over the records; for each of them a new SNS client and one
``Publish``, then a new DynamoDB client and one ``UpdateItem``.
"""
