"""What a path of sentences is worth: M1 to M10, reference rows, and whether a difference is more than chance."""
