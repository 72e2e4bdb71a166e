"""Floor 2: how many steps become a solution."""
