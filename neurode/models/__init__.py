"""Floor 6: models. They import layers and data.batch, and know nothing of training."""
