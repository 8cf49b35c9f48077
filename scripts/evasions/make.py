"""Writes the held-out evasion set: hostile files, their benign twins, what lies beside them, and expected.json.

    python make.py OUT            writes every file whose payload was seen to run
    python make.py OUT --prove    runs each pickle payload in a scratch folder first, and writes proved.txt here

The payload of every pickle writes an empty marker file into the folder it runs in, or connects to loopback. Formats other
than pickle are not run: their entries say `"alive": null`.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import containers
import formats
import libraries
import machine
import prove
import stdlib

PROVED = Path(__file__).with_name("proved.txt")
# A nested loader runs in the file's own format, or needs one this environment lacks.
UNPROVED_CONTAINERS = "the pickle inside is the one proved as torch-plain"


def collect():
    """All evasions, each name once."""
    found = [e for source in (stdlib, libraries, machine, containers, formats) for e in source.all()]
    names = [e.name for e in found]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
    return found


def write(folder: Path, evasions):
    """Hostile files, twins and companions."""
    for kind in ("hostile", "twin", "beside"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for e in evasions:
        (folder / "hostile" / (e.name + e.suffix)).write_bytes(e.hostile)
        (folder / "twin" / (e.name + getattr(e, "twin_suffix", e.suffix))).write_bytes(e.twin)
        for name, content in e.beside.items():
            path = folder / "beside" / e.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def proofs(folder: Path, evasions):
    """Name -> whether the payload ran; a twin that runs anything is an error."""
    listener = prove.Listener()

    def one(e):
        hostile = folder / "hostile" / (e.name + e.suffix)
        twin = folder / "twin" / (e.name + getattr(e, "twin_suffix", e.suffix))
        ran, said = prove.alive(hostile, e.loader, e.beside, listener, e.proof)
        twin_ran, _ = prove.alive(twin, e.loader, {}, listener, e.proof) if ran else (False, "")
        assert not twin_ran, f"the twin of {e.name} is alive"
        print("alive" if ran else f"dead ({said[:90]})", e.name, flush=True)
        return e.name, ran

    runnable = [e for e in evasions if e.loader]
    quiet = [e for e in runnable if e.proof != "connect"]
    with ThreadPoolExecutor(2) as pool:
        found = dict(pool.map(one, quiet))
    found.update(one(e) for e in runnable if e.proof == "connect")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--prove", action="store_true")
    options = parser.parse_args()
    evasions = collect()
    if options.prove:
        write(options.out, evasions)
        ran = proofs(options.out, evasions)
        PROVED.write_text("".join(f"{name}\n" for name in sorted(ran) if ran[name]))
        for e in evasions:
            if e.loader and not ran[e.name]:
                (options.out / "hostile" / (e.name + e.suffix)).unlink()
                (options.out / "twin" / (e.name + getattr(e, "twin_suffix", e.suffix))).unlink()
    proved = set(PROVED.read_text().split()) if PROVED.exists() else set()
    kept = [e for e in evasions if e.loader is None or e.name in proved]
    write(options.out, kept)
    expected = [{"name": e.name, "family": e.family, "hostile": e.name + e.suffix,
                 "twin": e.name + getattr(e, "twin_suffix", e.suffix), "alive": True if e.loader else None} for e in kept]
    (options.out / "expected.json").write_text(json.dumps(expected, indent=1))
    print(f"{len(kept)} evasions, {sum(e['alive'] is True for e in expected)} proved alive, {len(evasions) - len(kept)} dead ones dropped")


if __name__ == "__main__":
    main()
