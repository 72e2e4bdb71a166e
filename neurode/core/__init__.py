"""Floor 0: the words everybody uses. Imports torch and numpy only."""
