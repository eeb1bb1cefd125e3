"""Starts a local server as a child process that cannot outlive the process that started it."""

__all__: list[str] = []
