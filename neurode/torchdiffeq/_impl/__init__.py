"""Names that programs import from torchdiffeq's private modules."""
