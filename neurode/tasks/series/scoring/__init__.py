"""Problems put to the model and to baselines, and how well they were solved."""
