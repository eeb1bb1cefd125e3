"""Until when Lambda keeps a runtime, as data with its date."""

from datetime import date

__all__ = ["RUNTIMES_AS_OF", "SUPPORTED_UNTIL"]

RUNTIMES_AS_OF = date(2026, 11, 28)
"""When the dates were looked up: Lambda Developer Guide, "Lambda runtimes", of which AWS says that they may
change."""

SUPPORTED_UNTIL = {
    "python3.8": date(2024, 10, 14),
    "python3.9": date(2025, 12, 15),
    "python3.10": date(2026, 10, 31),
    "python3.11": date(2027, 6, 30),
    "python3.12": date(2028, 10, 31),
    "python3.13": date(2029, 6, 30),
    "python3.14": date(2029, 6, 30),
}
"""From these dates on a runtime gets no security updates; a little later its functions cannot be changed."""
