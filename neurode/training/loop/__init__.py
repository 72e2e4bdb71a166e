"""The loop itself: a run made of epochs, an epoch of steps, and what a step and an epoch are made of."""
