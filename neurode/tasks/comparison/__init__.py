"""Residual networks and neural ODEs, trained on the same data and compared."""
