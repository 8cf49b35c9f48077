"""The fourth set: other programs, gadgets and shapes, written before anything was mended for it."""
