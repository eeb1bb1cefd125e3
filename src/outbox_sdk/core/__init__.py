"""The functional core: every decision, and nothing else.

There is no I/O in here: no network, no clock, no randomness, no environment, no logging, nothing
``async``. Time, ids and random numbers are arguments; plans are frozen values; what became of a record is
a closed union. So each decision can be called with values and tested without a server.
"""

__all__: list[str] = []
