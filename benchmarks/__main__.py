"""`python -m benchmarks`: a short form of every benchmark; `make bench` runs it."""

import sys
from importlib.util import find_spec

from benchmarks import series_scaling, solve_speed

PEERS = ("torchdiffeq", "torchode", "diffrax")


def main() -> int:
    """Run all, or say what is missing. Returns the exit code."""
    missing = [name for name in PEERS if find_spec(name) is None]
    if missing:
        print(f"benchmarks compare with {' and '.join(missing)}; install with: pip install '.[bench]'", file=sys.stderr)
        return 3
    solve_speed.main(["--threads", "1", "--rounds", "6", "--repeats", "3"])
    series_scaling.main(["--rounds", "3", "--largest", "64000"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
