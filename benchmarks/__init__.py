"""Benchmarks: one module a question, each run by ``python -m benchmarks.<module>``."""
