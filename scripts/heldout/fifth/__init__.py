"""The fifth set: written after the misses of the fourth were mended, frozen before its first run."""
