"""Floor 8: results drawn. Pictures, and one self-contained HTML file."""
