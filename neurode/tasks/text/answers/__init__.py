"""What a trained sentence model answers: paths, made sentences, neighbours."""
