"""The third held-out set, written after the second was mended and before the scanner saw any of it."""
