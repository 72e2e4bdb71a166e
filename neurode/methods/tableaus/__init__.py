"""The methods' numbers, a file each: coefficients, declared orders, source. Nothing else."""
