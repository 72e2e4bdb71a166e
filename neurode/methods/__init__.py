"""Floor 1: how one step is made. `catalogue` is the list of methods."""
