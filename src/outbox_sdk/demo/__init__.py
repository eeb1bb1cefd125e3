"""The whole way of a message, on an embedded stack: written, relayed, received, and counted.

The relay in it is the one that Lambda runs, fed by the stream reader; only AWS itself is a stand-in.
"""

__all__: list[str] = []
