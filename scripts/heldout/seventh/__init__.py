"""The seventh held-out set: written from the formats and the literature, without sight of the scanner."""
