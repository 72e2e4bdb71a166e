"""Sentences: words and subwords, corpora and their splits, batches of ids, and a grammar that makes sentences."""
