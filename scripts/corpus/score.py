"""Compares an examination with what was expected.

    python score.py OUT EXAMINATION.json     EXAMINATION is what `mantlet scan --format json OUT` printed

Prints misses (hostile files that came out clean), inconclusive hostile files, false alarms and
inconclusive benign files, each with names; exits 1 when there is a miss or a false alarm.
"""

import json
import sys
from pathlib import Path


def main():
    root, report = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    expected = json.loads((root / "expected.json").read_text())
    found, partial = {}, set()

    def key(path):
        return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path

    for finding in report["findings"]:
        if finding["severity"] != "note":
            found.setdefault(key(finding["place"]["artifact"]), []).append(f"{finding['name']}: {finding['message'][:140]}")
    seen = set()
    for artifact in report["artifacts"]:
        seen.add(key(artifact["path"]))
        if artifact["coverage"] != "complete":
            partial.add(key(artifact["path"]))
    rows = {"missed": [], "hostile inconclusive": [], "false alarms": [], "benign inconclusive": [], "not scanned": []}
    counts = {"hostile": 0, "ordinary": 0, "dead": 0}
    for name, entry in sorted(expected.items()):
        hostile = entry["expect"] == "found"
        counts["hostile" if hostile else "ordinary"] += 1
        counts["dead"] += entry.get("live") is False
        if name not in seen:
            rows["not scanned"].append(name)
        elif hostile and name not in found:
            rows["hostile inconclusive" if name in partial else "missed"].append(name)
        elif entry["expect"] == "any":
            continue
        elif not hostile and name in found:
            rows["false alarms"].append(f"{name}: {found[name][:3]}")
        elif entry["expect"] == "clean" and name in partial:
            rows["benign inconclusive"].append(name)
        elif entry["expect"] == "partial" and name not in partial:
            rows["missed"].append(f"{name} (must be inconclusive)")
    print(json.dumps(counts))
    for label, names in rows.items():
        print(f"{label}: {len(names)}")
        for name in names:
            print(f"  {name}")
    sys.exit(1 if rows["missed"] or rows["false alarms"] or rows["not scanned"] else 0)


if __name__ == "__main__":
    main()
