"""How fast a solve is, beside its peers and beside the evaluations it cannot do without."""
