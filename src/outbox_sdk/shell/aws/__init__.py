"""AWS: the one package that imports aiobotocore and botocore.

``access`` says where AWS is, ``errors`` what went wrong there, and ``service`` sends requests. Credentials
and endpoints are those of a Lambda function's ``environment``, or else what botocore's ``session`` finds;
that takes a fifth of a cold start to load.
"""

__all__: list[str] = []
