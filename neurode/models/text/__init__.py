"""Floor 6: models of sentences. They import layers and data.text.sentence_batch, and know nothing of training."""
