"""Sentences: train on a text, walk from one sentence to another, and measure the walk."""
