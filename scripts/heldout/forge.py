#!/usr/bin/env python3
"""Writes a held-out set of hostile model files, each with a benign twin.

    python scripts/heldout/forge.py first OUT [--prove]

The first set was written by someone who had not read the rules, the formats, the effect table or the
other evasions of this tree; the second and third after the misses of the one before were mended. Each
was frozen before the scanner saw it; the figures of the first runs are in docs/benchmarks/scan.md.
Everything is generated: no hostile file is in the tree. The
payload of a live sample leaves a file called `marker` beside it and does nothing else (those of the
seventh and eighth sets that would use the network or a home folder are run by prove.py alone, which gives them neither:
load none of them by hand). `--prove`
loads each sample that can be loaded here in a process of its own, hostile and twin, and drops the
pairs whose payload does not run (or whose twin leaves the marker) from OUT.

Needs numpy, scikit-learn, pandas, joblib, dill, cloudpickle, skops, onnx, h5py, py7zr, lz4, zstandard,
pyarrow, flatbuffers, msgpack, pyyaml, jinja2, sympy, networkx, nltk, statsmodels, smart_open and fsspec.
The eighth set takes the encoders and loaders of the seventh, needs jsonpickle and tables besides to prove two
of its own, and has one pair that only an installed torch can write.
The seventh set proves more where torch, tensorflow-cpu, keras, onnxruntime, hydra-core 1.3.2 (NeMo's; later
ones refuse some targets), omegaconf, xgboost, lightgbm, lxml and msgpack-numpy are there too; a pair whose
library is missing stays in the set and counts as not proved. Its byte code is that of the Python that forges.
The ninth set is written with torch, tensorflow-cpu and keras at hand (they write its export archive, SavedModels,
TFLite and functional graphs); proving it needs onnxruntime, hydra-core, msgpack-numpy, jsonpickle, tables,
numcodecs, lxml, gguf and backports.zstd besides. Its graphs count as proved when a trigger sets the class of
every input and the twin's does not. Its samples that need the network or a home folder are not run at all.
The tenth set needs the same libraries (torch, tensorflow-cpu, keras and xgboost already to be written). Its samples
that need the network, a browser, another language or an older release of a loader are not run; their notes say so.
The eleventh set starts from what loaders do with each byte; it is written with torch, tensorflow-cpu, keras,
statsmodels, xgboost and tables at hand, and where a loader is not installed the note of a sample says so.
The twelfth set takes its samples from the advisories up to autumn 2026; it is written with torch, tensorflow-cpu,
keras, xgboost, onnx, gguf and numcodecs at hand, and its note says of each sample that is not run why.
The thirteenth set starts from the advisories of summer 2026 (Lightning's _instantiator, mlx-lm's model_file, llama.cpp's
vocabularies, LeRobot's processors) and from hooks that run without a written call; it is written with torch, tensorflow-cpu,
keras, statsmodels, skops, xgboost, onnx, msgpack, py7zr and zstandard at hand (proved with onnxruntime, tokenizers and openvino).
The fourteenth set starts from the loaders' own sources and their second-order paths (.pt2 archives, symbolic shapes, caches,
build back ends, callbacks); it needs coremltools, stable-baselines3, formulaic and lightgbm besides, and a C compiler.
The fifteenth set starts from hooks of the loaders themselves (autoloaded back ends, templates kept in objects, extra states,
activation strings, graph state); it needs the libraries of the fourteenth, openvino and a C compiler.
The sixteenth set starts from side effects of constructors, setters and finalizers in real libraries and from files that tools
read by themselves when a folder is opened; it needs the libraries of the fifteenth.
"""
import argparse
import concurrent.futures
import importlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from pair import Set  # noqa: E402

PARTS = {
    "sixteenth": "pickles programs graphs weights everywhere".split(),
    "fifteenth": "pickles programs graphs weights everywhere".split(),
    "fourteenth": "pickles torches programs graphs overrides weights everywhere".split(),
    "thirteenth": "pickles torches libraries weights onnxes kerases tensorflows graphs packages notebooks repositories templates deployments archives everywhere".split(),
    "twelfth": "pickles torches libraries weights onnxes kerases tensorflows graphs packages notebooks repositories templates deployments archives everywhere".split(),
    "eleventh": "pickles torches libraries weights onnxes kerases tensorflows graphs packages notebooks repositories templates deployments archives everywhere".split(),
    "tenth": "pickles torches libraries weights onnxes kerases tensorflows graphs packages notebooks repositories templates deployments archives everywhere".split(),
    "ninth": "pickles torches libraries weights onnxes kerases tensorflows graphs packages notebooks repositories templates deployments archives everywhere".split(),
    "eighth": "pickles torches libraries weights onnxes kerases tensorflows graphs packages notebooks repositories templates deployments archives everywhere".split(),
    "seventh": "pickles torches libraries weights onnxes kerases tensorflows graphs packages notebooks repositories templates deployments archives everywhere".split(),
    "sixth": ["everything"],
    "fifth": ["everything"],
    "fourth": ["programs", "pickles", "models"],
    "third": ["everything"],
    "second": ["pickles", "containers", "models", "texts"],
    "first": ["stdlib_calls", "library_calls", "machine_tricks", "containers", "arrays", "graphs", "weights", "configurations", "programs", "others"],
}


def alive(base: pathlib.Path, kind: str, file: str) -> tuple[bool, str]:
    """Whether loading `file` leaves the marker, in a scratch copy of its folder."""
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch) / "w"
        shutil.copytree(base, work, symlinks=True)
        try:
            done = subprocess.run(
                [sys.executable, str(HERE / "prove.py"), kind, file], cwd=work, capture_output=True, timeout=60, stdin=subprocess.DEVNULL
            )
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        except subprocess.TimeoutExpired:
            said = ["time-out"]
        return any(work.glob("**/marker*")), " ".join(said)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("set", choices=PARTS)
    args.add_argument("out", type=pathlib.Path)
    args.add_argument("--prove", action="store_true")
    args.add_argument("--only")
    args = args.parse_args()
    out = Set()
    for part in PARTS[args.set]:
        if args.only and part != args.only:
            continue
        importlib.import_module(f"{args.set}.{part}").add(out)
    out.write(args.out)
    rows = []

    def prove(pair):
        if pair.prove is None or not args.prove:
            return pair, None, ""
        ok, said = alive(args.out / "hostile" / pair.family / pair.name, pair.prove, next(iter(pair.hostile)))
        if not ok and "ModuleNotFoundError" in said:  # the library that loads it is not installed: kept, not proved
            return pair, None, said
        quiet, twin_said = alive(args.out / "twin" / pair.family / pair.name, pair.prove, next(iter(pair.twin)))
        return pair, ok and not quiet, f"hostile: {said}; twin: marker={quiet} {twin_said}"

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for pair, ok, said in pool.map(prove, out.pairs):
            if ok is False:
                print("dead", pair.family, pair.name, said)
                for side in ("hostile", "twin"):
                    shutil.rmtree(args.out / side / pair.family / pair.name)
                continue
            rows.append({"family": pair.family, "name": pair.name, "prove": pair.prove if ok else None, "files": list(pair.hostile)})
    (args.out / "index.json").write_text(json.dumps(rows, indent=1))
    print(len(rows), "pairs,", sum(r["prove"] is not None for r in rows), "proved alive")


main()
