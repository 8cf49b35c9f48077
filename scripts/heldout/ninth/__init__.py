"""The ninth set: written from the classes to cover and public advisories, without sight of the scanner."""
