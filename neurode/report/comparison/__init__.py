"""The comparison of residual networks and neural ODEs, drawn."""
