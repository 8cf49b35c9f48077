"""A hostile sample and its benign twin, and how a set of them is written to disk."""
from __future__ import annotations

import pathlib
from dataclasses import dataclass, field

# What a live payload does: it leaves a file called `marker` in the folder it is loaded from.
SHELL = "touch marker"
CODE = "open('marker','w').close()"
EXPR = "open('marker','w').close()"


@dataclass
class Pair:
    family: str
    name: str
    hostile: dict[str, bytes]
    twin: dict[str, bytes]
    # How the hostile sample is proved alive (see prove.py); None when it is not run.
    prove: str | None = None
    why: str = ""


@dataclass
class Set:
    pairs: list[Pair] = field(default_factory=list)

    def add(self, family, name, hostile, twin, prove=None, file=None, why=""):
        """One pair; `hostile` and `twin` are bytes of `file`, or folders of files."""
        if isinstance(hostile, str):
            hostile = hostile.encode()
        if isinstance(twin, str):
            twin = twin.encode()
        h = hostile if isinstance(hostile, dict) else {file: hostile}
        t = twin if isinstance(twin, dict) else {file: twin}
        h = {k: v.encode() if isinstance(v, str) else v for k, v in h.items()}
        t = {k: v.encode() if isinstance(v, str) else v for k, v in t.items()}
        assert h != t, (family, name)
        assert all(x.name != name or x.family != family for x in self.pairs), (family, name)
        self.pairs.append(Pair(family, name, h, t, prove, why))

    def write(self, out: pathlib.Path):
        for pair in self.pairs:
            for side, files in (("hostile", pair.hostile), ("twin", pair.twin)):
                base = out / side / pair.family / pair.name
                for rel, data in files.items():
                    path = base / rel
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if isinstance(data, tuple):  # ("link", target)
                        if path.is_symlink():
                            path.unlink()
                        path.symlink_to(data[1])
                    else:
                        path.write_bytes(data)
