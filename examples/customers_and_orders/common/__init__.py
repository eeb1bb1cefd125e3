"""What both services would take from a library: JSON over HTTP, and a worker that reads a queue."""

__all__: list[str] = []
