"""The sixth set: written after the misses of the fifth were mended, frozen before its first run."""
