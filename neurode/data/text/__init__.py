"""Sentences: their words as numbers, batches of them, and grammars that generate them."""
