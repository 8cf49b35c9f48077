"""How the samples of this set are proved alive: one loader a kind, beside those of prove.py."""

from seventh import alive_files, alive_models, alive_programs  # noqa: F401
from seventh.alive_kinds import KINDS  # noqa: F401
