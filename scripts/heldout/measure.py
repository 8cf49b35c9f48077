#!/usr/bin/env python3
"""Runs a scanner over a set that forge.py wrote, one process a sample, and counts exit codes.

    python scripts/heldout/measure.py SET NAME --command 'mantlet scan' --out FILE

The command is given the sample's only file, or its folder where there are several. Exit 0 is clean,
1 found, anything else (2, 3, a time-out) not fully examined.
"""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import shlex
import subprocess

parser = argparse.ArgumentParser()
parser.add_argument("set", type=pathlib.Path)
parser.add_argument("--command", required=True)
parser.add_argument("--out", type=pathlib.Path, required=True)
parser.add_argument("--every", type=int, default=1)
parser.add_argument("--jobs", type=int, default=2)
parser.add_argument("--only")
args = parser.parse_args()
rows = json.loads((args.set / "index.json").read_text())[:: args.every]
if args.only:
    rows = [r for r in rows if args.only in f"{r['family']}/{r['name']}"]


def run(row, side):
    base = args.set / side / row["family"] / row["name"]
    files = [p for p in base.rglob("*") if p.is_file() or p.is_symlink()]
    target = files[0] if len(files) == 1 else base
    try:
        done = subprocess.run([*shlex.split(args.command), str(target)], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        return {0: "clean", 1: "found"}.get(done.returncode, "partial"), done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired:
        return "partial", "time-out"


jobs = [(row, side) for row in rows for side in ("hostile", "twin")]
with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
    said = list(pool.map(lambda j: run(*j), jobs))
result = [{"family": row["family"], "name": row["name"], "side": side, "verdict": verdict, "said": text} for (row, side), (verdict, text) in zip(jobs, said)]
args.out.write_text(json.dumps(result, indent=1))
table = collections.defaultdict(collections.Counter)
for r in result:
    for family in (r["family"], "all"):
        table[family][r["side"], r["verdict"]] += 1
for family, count in sorted(table.items()):
    print(f"{family:16}", "  ".join(f"{side} " + "/".join(str(count[side, v]) for v in ("found", "partial", "clean")) for side in ("hostile", "twin")))
wrong = [(r["family"], r["name"], r["side"], r["verdict"]) for r in result if r["verdict"] != {"hostile": "found", "twin": "clean"}[r["side"]]]
for w in wrong:
    print(*w)
