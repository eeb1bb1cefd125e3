"""What all benchmarks share: an endpoint to call, events to relay, alternating runs, and how answers look."""
