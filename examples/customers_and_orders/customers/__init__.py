"""The service that knows what customers may owe, and says of each order whether they may owe it too."""

__all__: list[str] = []
