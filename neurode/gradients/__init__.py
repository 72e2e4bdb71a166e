"""Floor 3: how a solve is differentiated, each way owning its call of the loop. `catalogue` is the list."""
