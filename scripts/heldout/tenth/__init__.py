"""The tenth held-out set: eight pairs for each of fifteen families, written without sight of the scanner."""
