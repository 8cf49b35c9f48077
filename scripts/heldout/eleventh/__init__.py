"""The eleventh held-out set: what each loader does with each byte, written without sight of the scanner."""
