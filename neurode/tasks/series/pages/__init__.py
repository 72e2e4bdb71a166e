"""What a report shows of a trained series model, computed as plain data."""
