"""Whole solves in one kernel, for fields that can be read."""
