"""Services that use the SDK, whole: to be read, run and copied from."""

__all__: list[str] = []
