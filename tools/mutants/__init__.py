"""Mutation testing of the core: ``python -m tools.mutants``.

mutmut writes the mutants, mypy refuses some of them, and the tests are to fail on the rest.
"""

__all__: list[str] = []
