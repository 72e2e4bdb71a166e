"""What is told of a trained sentence model: its card, and the parts of its report."""
