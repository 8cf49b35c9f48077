"""The second held-out set, written after the first was mended and before the scanner saw any of it."""
