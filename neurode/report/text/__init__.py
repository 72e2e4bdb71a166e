"""The pages of a report of sentences."""
