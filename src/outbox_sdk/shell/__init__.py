"""The effects: the only place with ``await``, a clock, the environment and the network.

The shell gathers what the core needs to know, lets it decide, and carries the decision out.
"""

__all__: list[str] = []
