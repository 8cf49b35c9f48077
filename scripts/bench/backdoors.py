"""Forged models, poisoned in several ways and clean, asked by every probe that reconstructs a trigger: how many poisoned
ones are flagged with the right class, how many clean ones are flagged at all. Needs nothing but the built example.

    cargo build --release -p mantlet-worker --example backdoors
    python scripts/bench/backdoors.py --forge target/release/examples/backdoors --page docs/benchmarks/attack.md
"""

import argparse
import json
import math
import statistics
import subprocess

from measure import append

# The thresholds of the probes were set on seeds 1 to 3.
SEEDS = (11, 12, 13)


def at_least(hits, n, share):
    return sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(hits, n + 1))


def exact(hits, n):
    """Clopper and Pearson's 95 % interval."""

    def find(wanted):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if wanted(middle) else (low, middle)
        return (low + high) / 2

    low = 0.0 if hits == 0 else find(lambda share: at_least(hits, n, share) < 0.025)
    high = 1.0 if hits == n else find(lambda share: 1 - at_least(hits + 1, n, share) > 0.025)
    return f"{hits} of {n} [{low:.3f}, {high:.3f}]"


def kind(model):
    if model["clean"]:
        return "clean " + model["name"].split()[1]
    for word in ("two marks", "blended", "all to all", "column pair", "read as", "only"):
        if word in model["name"]:
            return {"only": "one source"}.get(word, word)
    return "one mark"


def run(forge, page, seeds=SEEDS):
    models = []
    for seed in seeds:
        out = subprocess.run([str(forge), "--seed", str(seed), "--json"], check=True, capture_output=True, text=True).stdout
        models += [{**json.loads(line), "seed": seed} for line in out.splitlines()]
    rows = []
    for name in dict.fromkeys(map(kind, models)):
        own = [model for model in models if kind(model) == name]
        obeyed = f"{statistics.median(model['obeyed'] for model in own):.2f}" if not own[0]["clean"] else ""
        rows.append([name, len(own), obeyed, sum(model["right"] for model in own), f"{statistics.median(model['millis'] for model in own):.0f}"])
    for probe, word in (("backdoor-trigger", "trigger reconstruction, 10 classes, CPU s"), ("backdoor-one-source", "marks of one source, 10 classes, CPU s")):
        took = [model["cpu_millis"][probe] / 1000 for model in models if probe in model["cpu_millis"] and " cnn" in f" {model['name']}"]
        if took:
            rows.append([word, len(took), "", f"{statistics.median(took):.2f} [{min(took):.2f}, {max(took):.2f}]", ""])
    poisoned = [model for model in models if not model["clean"]]
    clean = [model for model in models if model["clean"]]
    precise = sum(model["right"] and model["only"] for model in poisoned)
    rows.append(["**all poisoned, right class named**", len(poisoned), "", exact(sum(model["right"] for model in poisoned), len(poisoned)), ""])
    rows.append(["**all poisoned, right class and no other named**", len(poisoned), "", exact(precise, len(poisoned)), ""])
    rows.append(["**clean models flagged**", len(clean), "", exact(sum(not model["right"] for model in clean), len(clean)), ""])
    missed = [f"{model['name']} (seed {model['seed']}: {model['found'] or 'nothing'}; obeyed {model['obeyed']:.2f})" for model in models if not model["right"]]
    note = f"Digits (convolutional network, perceptron) and a made-up table of 12 columns (perceptron, boosted trees), every model trained in the run, seeds {', '.join(map(str, seeds))}; thresholds were set on seed 1. Obeyed: the share of unseen rows that the planted mark sends where it aims, median. Right for a clean model means that nothing is flagged. Milliseconds are wall time of all probes together on a shared machine. Wrong ones: {'; '.join(missed) or 'none'}."
    append(page, "Attacking", ["models", "n", "obeyed", "right", "ms, median"], rows, note)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--forge", required=True)
    parser.add_argument("--page", required=True)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    options = parser.parse_args()
    run(options.forge, options.page, [int(seed) for seed in options.seeds.split(",")])
