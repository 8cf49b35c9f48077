"""What the families of this set share; the encoders are those of the seventh's kit."""

from __future__ import annotations

from assembly import call, glob, model, pickle

# An address of documentation (RFC 5737): nothing is contacted.
HOST = "192.0.2.66"
CARD = b"# Tiny\n\nA small classifier.\n"


def wicked(function, *args) -> bytes:
    """A training state one value of which is the result of a call."""
    return pickle(model(call(function, *args)))


def calm(*args) -> bytes:
    """The same state with the same arguments, kept as data."""
    return pickle(model(call(glob("collections", "deque"), list(args))))
