"""The first held-out set."""
