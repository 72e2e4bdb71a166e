"""Training by several processes: who started them, how they add up their gradients, how they end together."""
