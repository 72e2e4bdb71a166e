"""Floor 5: nn.Modules around solve()."""
