"""The symplectic methods' weights, a file each. Nothing else."""
