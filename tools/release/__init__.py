"""A release up to, and without, the upload: `nox -s release`, described in docs/how-to/release.md."""

__all__: list[str] = []
