"""Models of sentences, and the judges that score them."""
