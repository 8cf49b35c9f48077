"""The thirteenth set: loaders' own import and hook mechanisms, and the advisories of summer and autumn 2026."""
