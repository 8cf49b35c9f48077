"""Estimates of performance before labels, held against what the labels said later: ours, and NannyML's CBPE on the same
windows."""

import json

from peers import environment, timed

METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc"]

PEER = """
import json, sys, resource, time
import nannyml as nml, pandas as pd
folder = sys.argv[1]
reference = pd.read_parquet(f"{folder}/employment_MA_reference.pq")
later = pd.read_parquet(f"{folder}/employment_MA_analysis.pq")
metrics = ["accuracy", "precision", "recall", "f1", "roc_auc"]
names = dict(y_pred_proba="predicted_probability", y_pred="prediction", y_true="employed", problem_type="classification_binary", metrics=metrics, chunk_size=5000)
done = nml.CBPE(**names).fit(reference).estimate(later).filter(period="analysis").to_df()
target = pd.read_parquet(f"{folder}/employment_MA_analysis_target.pq")
labelled = later.merge(target, on="id") if "id" in target else later.assign(employed=target["employed"].values)
truth = nml.PerformanceCalculator(**names).fit(reference).calculate(labelled).filter(period="analysis").to_df()
out = {"version": nml.__version__}
for metric in metrics:
    low, high, value = (done[(metric, part)].tolist() for part in ("lower_confidence_boundary", "upper_confidence_boundary", "value"))
    real = truth[(metric, "value")].tolist()
    out[metric] = {"in": sum(l <= r <= h for l, h, r in zip(low, high, real)), "windows": len(real), "width": sum(h - l for l, h in zip(low, high)) / len(real), "off": sum(abs(v - r) for v, r in zip(value, real)) / len(real)}
print(json.dumps(out))
"""


def cbpe(program, work, folder, peer, memory):
    reference, later, target = (str(folder / f"employment_MA_{part}.pq") for part in ("reference", "analysis", "analysis_target"))
    base = [program, "monitor", "labels", later, "--reference", reference, "--score", "predicted_probability", "--prediction", "prediction", "--label", "employed", "--rows", "5000", "--format", "json"]
    windows = {}
    for name, more in (("estimated", []), ("measured", ["--id", "id", "--labels", target])):
        history = work / f"cbpe-{name}.json"
        history.unlink(missing_ok=True)
        done, seconds, peak = timed([*base, *more, "--history", str(history)])
        if done.returncode not in (0, 1, 2):
            raise SystemExit(f"monitor labels: {done.stderr}")
        windows[name] = json.loads(history.read_text())["windows"]
    out = []
    of = lambda figures: {figure["metric"].replace("-", "_"): figure for figure in figures}
    for metric in METRICS:
        inside, width, off, count = 0, 0.0, 0.0, 0
        for before, after in zip(windows["estimated"], windows["measured"]):
            estimated = before["estimated"].get("Ok") if isinstance(before["estimated"], dict) else None
            guess, real = of(estimated or []).get(metric), of(after["realised"]).get(metric)
            if guess and real:
                count += 1
                inside += guess["low"] <= real["value"] <= guess["high"]
                width += guess["high"] - guess["low"]
                off += abs(guess["value"] - real["value"])
        if count:
            out.append([f"estimate before labels, ACS employment, {metric}: windows whose interval holds the measured value", f"{inside} of {count} ({inside / count:.1%})", f"mean width {width / count:.3f}, mean miss {off / count:.4f}"])
    out.append(["the same with labels: CPU s, MiB", f"{seconds:.1f}", f"{peak:.0f}"])
    for row in out:
        print(row, flush=True)
    if peer:
        python, why = environment(work, "nannyml")
        if python is None:
            return [*out, ["nannyml", "it does not install", why]]
        script = work / "peer-cbpe.py"
        script.write_text(PEER)
        done, seconds, peak = timed([python, "-B", script, folder], memory)
        if done.returncode or done.over:
            return [*out, ["nannyml CBPE", "no result", (done.stderr.strip().splitlines() or [""])[-1][:200]]]
        said = json.loads(done.stdout.strip().splitlines()[-1])
        for metric in METRICS:
            own = said[metric]
            out.append([f"nannyml {said['version']} CBPE, the same windows, {metric}", f"{own['in']} of {own['windows']} ({own['in'] / own['windows']:.1%})", f"mean width {own['width']:.3f}, mean miss {own['off']:.4f}; CPU s {seconds:.1f}, {peak:.0f} MiB"])
            print(out[-1], flush=True)
    return out
