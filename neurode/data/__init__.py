"""Floor 1: tables of series, their scaling, and batches of them; made series and sample tables."""
