"""A trained model used: series filled, forecast, made."""
