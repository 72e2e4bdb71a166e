"""How good a sentence model's paths, samples and codes are, on sentences that nothing has seen, beside references."""
