"""Training: the one loop, its run folder, checkpoints, guard and processes. It sees a protocol, never a model."""
