"""Benchmarks: timed comparisons, never part of the test suite. `python -m benchmarks` runs a short form of all."""
