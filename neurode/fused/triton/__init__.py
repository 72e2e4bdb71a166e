"""Whole solves of MLP fields on a GPU, in Triton: optional, imported when a solve asks for it."""
