"""Drift and segments: planted changes in card payments, tables without any change, and rows by the million."""

import json
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from measure import cpu_seconds, mib, peak_kib
from peers import peers, timed

FEATURES = ["amount", "balance", "age_days", "n_tx_1h", "n_tx_24h", "velocity", "geo_dist", "dev_score", "ip_risk", "hour", "latent_a", "latent_b", "merchant", "mcc", "device", "plan", "os", "bin6", "country", "channel"]
ASIDE = [argument for column in ("y", "y_pred", "score", "ts") for argument in ("--without", column)]


def zipf(count, power):
    share = 1.0 / np.arange(1, count + 1) ** power
    return share / share.sum()


def names(kind, values, count):
    words = pa.array([f"{kind}_{i}" for i in range(count)])
    return pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), words).cast(pa.string())


def payments(n, rng, drift):
    """Twenty features of card payments. Drifted: six columns, one pair, one column in one segment, errors in another."""
    country, channel = rng.choice(24, n, p=zipf(24, 1.0)), rng.choice(4, n, p=[.45, .3, .15, .1])
    segment = (country == 4) & (channel == 2)
    c = {
        "amount": np.exp(rng.normal(3.2, 1.1, n)), "balance": rng.gamma(2.0, 900.0, n), "age_days": rng.exponential(400, n),
        "n_tx_1h": rng.poisson(.6, n).astype(np.int32), "n_tx_24h": rng.poisson(4.0, n).astype(np.int32),
        "velocity": rng.standard_t(4, n), "geo_dist": np.where(rng.random(n) < .7, 0.0, rng.exponential(120, n)),
        "dev_score": rng.beta(2, 5, n), "ip_risk": rng.beta(.6, 3, n), "hour": rng.integers(0, 24, n).astype(np.int16),
    }
    c["latent_a"] = rng.normal(0, 1, n)
    c["latent_b"] = (-.6 if drift else .6) * c["latent_a"] + .8 * rng.normal(0, 1, n)
    words = {"merchant": (rng.choice(5000, n, p=zipf(5000, 1.05)), 5001), "mcc": (rng.choice(60, n, p=zipf(60, .8)), 60), "device": (rng.choice(8, n, p=zipf(8, .7)), 8), "plan": (rng.choice(3, n, p=[.7, .2, .1]), 3), "os": (rng.choice(6, n, p=[.4, .3, .15, .08, .05, .02]), 7), "bin6": (rng.choice(900, n, p=zipf(900, .9)), 900)}
    if drift:
        c["amount"] *= np.exp(.12)
        c["velocity"] *= 1.15
        c["dev_score"] = rng.beta(2, 4.4, n)
        words["device"] = (np.where(rng.random(n) < .08, 7, words["device"][0]), 8)
        words["os"] = (np.where(rng.random(n) < .006, 6, words["os"][0]), 7)
        c["ip_risk"] = np.where(segment, np.clip(c["ip_risk"] + .25, 0, 1), c["ip_risk"])
    z = -4.2 + .35 * np.log1p(c["amount"]) + 2.2 * c["ip_risk"] + .25 * c["n_tx_1h"] + .5 * (channel == 2) + .2 * c["latent_a"]
    y = rng.random(n) < 1 / (1 + np.exp(-z))
    score = 1 / (1 + np.exp(-(z + rng.normal(0, .5, n))))
    if drift:
        worse = (channel == 1) & (words["plan"][0] == 2) & (words["mcc"][0] < 3)
        y = np.where(worse & (rng.random(n) < .35), ~y, y)
    missing = {"balance": .02, "age_days": .035 if drift else .01, "geo_dist": .03}
    columns = {name: pa.array(values, mask=rng.random(n) < missing[name]) if name in missing else pa.array(values) for name, values in c.items()}
    columns |= {name: names(name, *own) for name, own in words.items()}
    columns["country"], columns["channel"] = names("C", country, 24), names("ch", channel, 4)
    columns["ts"] = pa.array(np.sort(rng.integers(0, 30 * 86400, n)) * 1000, pa.timestamp("ms"))
    columns |= {"y": pa.array(y.astype(np.int8)), "score": pa.array(score), "y_pred": pa.array((score > .2).astype(np.int8))}
    return pa.table(columns)


def write(path, rows, seed, drift):
    rng, writer, done = np.random.default_rng(seed), None, 0
    while done < rows:
        n = min(1_000_000, rows - done)
        table = payments(n, rng, drift)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=1 << 18)
        done += n
    writer.close()


def told(program, arguments):
    done = subprocess.run([program, *map(str, arguments), "--format", "json"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"{arguments}: {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)["findings"]


def whole(program, work, rows, label):
    """Profile and comparison of two tables of so many rows: seconds of both together, the greater memory."""
    before, now, profile = work / "before.parquet", work / "now.parquet", work / "profile.json"
    write(before, rows, 7, False)
    write(now, rows, 8, True)
    learn = [program, "monitor", "baseline", str(before), "--out", str(profile), *ASIDE]
    compare = [program, "monitor", "drift", str(now), "--baseline", str(profile)]
    learned, learning, most = timed(learn)
    compared, comparing, peak = timed([*compare, "--format", "json"])
    if learned.returncode or compared.returncode not in (1, 2):
        raise SystemExit(f"{compare}: {learned.stderr}{compared.stderr}")
    seconds, peak = learning + comparing, max(most, peak)
    found = json.loads(compared.stdout)["findings"]
    want = {("drift-marginal-shift", "column amount"), ("drift-marginal-shift", "column velocity"), ("drift-marginal-shift", "column dev_score"), ("drift-marginal-shift", "column device"), ("drift-new-words", "column os"), ("drift-missing-values", "column age_days"), ("drift-joint-shift", "columns latent_a and latent_b")}
    seen = {(f["name"], f["place"].get("part", "")) for f in found}
    return [label, f"{seconds:.1f} CPU s, {peak:.1f} MiB", f"{len(want & seen)} of 7 planted changes named, {len(seen - want)} other findings"], before, now


def nulls(program, work, sets, rows, first=0):
    """Sets without any change: how many have an alarm of drift, how many one of segments."""
    drifted = segmented = 0
    before, now, profile = work / "null-before.parquet", work / "null-now.parquet", work / "null-profile.json"
    for number in range(first, first + sets):
        write(before, rows, 20_000 + 2 * number, False)
        write(now, rows, 20_001 + 2 * number, False)
        subprocess.run([program, "monitor", "baseline", str(before), "--out", str(profile), *ASIDE], check=True, stdout=subprocess.DEVNULL)
        drifted += bool(told(program, ["monitor", "drift", now, "--baseline", profile]))
        segmented += bool(told(program, ["monitor", "segments", now, "--reference", before, "--label", "y", "--prediction", "y_pred", "--without", "score", "--without", "ts"]))
        print("null", number, drifted, segmented, flush=True)
    return [[f"sets of {rows:,} and {rows:,} rows without any change: any drift told", f"{drifted} of {sets}", f"nominal 1 %; sets {first} to {first + sets - 1}"], [f"the same: any segment told", f"{segmented} of {sets}", "nominal 1 %"]]


def drift(program, work, sizes, sets, null_rows, first=0, names=(), peer_rows=200_000, peer_memory=3072):
    out = []
    for rows in sizes:
        row, before, now = whole(program, work, rows, f"profile and drift, {rows:,} and {rows:,} rows of 20 columns")
        out.append(row)
        print(row, flush=True)
        if rows == 1_000_000:
            command = ["monitor", "segments", now, "--reference", before, "--label", "y", "--prediction", "y_pred", "--without", "score", "--without", "ts"]
            seconds, peak = cpu_seconds([program, *map(str, command)], {1, 2}), peak_kib([program, *command])
            found = told(program, command)
            firsts = {}
            for finding in found:
                firsts.setdefault(finding["name"], finding["place"].get("part", ""))
            out.append([f"segments, {rows:,} and {rows:,} rows", f"{seconds:.1f} CPU s, {mib(peak)} MiB", "; ".join(f"{name} first: {part}" for name, part in firsts.items())])
            print(out[-1], flush=True)
    if names:
        label = f"{peer_rows:,} and {peer_rows:,} rows of 20 columns"
        row, before, now = whole(program, work, peer_rows, f"ours, {label}")
        out.append(row)
        out += peers(work, before, now, label, names, peer_memory)
    return out + (nulls(program, work, sets, null_rows, first) if sets else [])
