"""The command as ``python -m outbox_sdk.cli``."""

from outbox_sdk.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
