"""The twelfth held-out set: loaders, configurations and graphs taken from the advisories up to autumn 2026."""
