"""The service that takes orders, and decides them when it hears of their credit."""

__all__: list[str] = []
