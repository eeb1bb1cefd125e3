"""What maintainers run: scripts that write down what the code says, and those of a release."""

__all__: list[str] = []
