"""Two services and a saga between them: an order is approved if its customer has the credit for it.

``customers`` and ``orders`` are written as by two teams: each has its own tables, outbox, inbox and catalog,
and knows of the other what travels between them, nothing else. ``common`` is what both would take from a
library, ``provisioning`` and ``running`` set them up on a local stack, and ``story`` plays with them over
HTTP.
"""

__all__: list[str] = []
