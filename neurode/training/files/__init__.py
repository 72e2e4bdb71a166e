"""What training writes to disk, whole or not at all."""
