"""Scores scanners on the evasion set: one process a file, by exit code.

    python score.py SET --mantlet PATH [--peers BIN] [--out FILE]

Exit 1 is "found", 0 "clean", anything else "not fully examined" (a crash or a time-out counts as that too). For mantlet the
highest severity is read from its JSON, so that "malicious" and "suspicious" are told apart.
"""

import argparse
import json
import subprocess
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PEERS = {
    "picklescan": ["picklescan", "-p"],
    "fickling": ["fickling", "-s", "-p"],
    "modelscan": ["modelscan", "-p"],
    "modelaudit": ["modelaudit", "scan", "--no-cache", "--format", "json"],
}


def by_exit(command, timeout):
    """The bucket of one run."""
    try:
        code = subprocess.run(command, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        return "partial"
    return {0: "clean", 1: "found"}.get(code, "partial")


def mantlet(path, binary):
    """malicious, suspicious, partial or clean, with the rules that said so."""
    done = subprocess.run([binary, "scan", "--format", "json", path], capture_output=True, timeout=120)
    report = json.loads(done.stdout)
    severities = {f["severity"] for f in report["findings"]}
    rules = sorted({f["name"] for f in report["findings"] if f["severity"] != "note"})
    top = next((s for s in ("malicious", "suspicious") if s in severities), None)
    return (top or {0: "clean"}.get(done.returncode, "partial")), rules


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--mantlet", default="mantlet")
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--only", help="one peer")
    parser.add_argument("--every", type=int, default=1, help="every n-th file, for slow peers")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    entries = json.loads((options.set / "expected.json").read_text())
    jobs = [(e, kind, str(options.set / kind / e[kind])) for e in entries[:: options.every] for kind in ("hostile", "twin")]
    scores = defaultdict(Counter)
    rows = {}
    if not options.only:
        for e, kind, path in jobs:
            bucket, rules = mantlet(path, options.mantlet)
            scores["mantlet", kind][bucket] += 1
            scores["mantlet " + e["family"], kind][bucket] += 1
            rows[f"{kind}/{e[kind]}"] = [bucket, *rules]
            if (kind == "twin") != (bucket == "clean") or (kind == "hostile" and bucket == "partial"):
                print(kind, e["family"], e["name"], bucket, *rules)
    for peer, command in PEERS.items():
        if not options.peers or options.only not in (None, peer):
            continue
        run = lambda job: by_exit([options.peers / command[0], *command[1:], job[2]], options.timeout)
        with ThreadPoolExecutor(2) as pool:
            for (e, kind, _), bucket in zip(jobs, pool.map(run, jobs)):
                scores[peer, kind][bucket] += 1
                rows[f"{peer}/{kind}/{e[kind]}"] = bucket
    for (who, kind), counts in sorted(scores.items()):
        print(f"{who:34} {kind:8}", *(f"{k} {v}" for k, v in sorted(counts.items())))
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
