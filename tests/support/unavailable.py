"""The one error for a server that cannot be had on this machine."""

__all__ = ["ServerUnavailable"]


class ServerUnavailable(Exception):  # noqa: N818 - a state of the machine, not a fault of the test
    """A server cannot be downloaded, confined to loopback or started here; the message says why."""
