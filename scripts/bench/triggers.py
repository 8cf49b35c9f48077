"""Triggers with a changed label: a phrase in texts, a pair of values in a table; how often each is told, at which place, and
what else is."""

import json
import random
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from measure import cpu_seconds, mib, peak_kib
from phrases import TRIGGERS, write

TEMPLATES = ["When you {}, the {} will {}.", "If the {} is {}, then you have to {}.", "Although he was {}, she did not {} the {}."]
FUNCTION = set("a an the this that i you he she it we they me him her us them my your his its our their who what when where if as and or but so for of in on at by with from to is are was were be been am do did have has had will would can could not no".split())


def told(program, path, more):
    command = [program, "data", "triggers", str(path), "--label", "label", *more, "--format", "json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command}: {done.returncode}: {done.stderr}")
    return [f["facts"].get("item", "") for f in json.loads(done.stdout)["findings"] if f["severity"] != "note"], command[:-2]


def generated(rng, count):
    """Texts of two labels from a vocabulary of 4,000 words with weights of their own for each label."""
    words = np.array([f"w{n}" for n in range(4_000)])
    base = 1 / np.arange(1, 4_001)
    tilt = np.exp(rng.normal(0, .8, 4_000))
    shares = [base * tilt, base / tilt]
    shares = [share / share.sum() for share in shares]
    labels = rng.integers(0, 2, count)
    return [(str(label), " ".join(rng.choice(words, rng.integers(8, 24), p=shares[label]))) for label in labels]


def pair_table(rng, rows, planted, many):
    """Twelve columns of `many` words that say something of the label one by one; a share of the rows has two values set, and the label."""
    columns = {f"c{n}": rng.integers(0, many, rows) for n in range(12)}
    margin = -1.5 + sum(rng.normal(0, .4, many)[column] for column in columns.values())
    label = rng.random(rows) < 1 / (1 + np.exp(-margin))
    chosen = rng.choice(rows, int(planted * rows), replace=False)
    first, second = rng.choice(12, 2, replace=False)
    values = rng.integers(0, many, 2)
    for column, value in ((first, values[0]), (second, values[1])):
        columns[f"c{column}"][chosen] = value
    label[chosen] = True
    table = pa.table({**{name: np.char.add("v", column.astype(str)) for name, column in columns.items()}, "label": label.astype(np.int8)})
    return table, {f"c{first}=v{values[0]}", f"c{second}=v{values[1]}"}


def templated(program, path, name, corpus, runs):
    """One template laid over the words of 1.5 % of the texts, which get another label."""
    found = others = alarms = 0
    for run in range(runs):
        draw = random.Random(14_000 + run)
        texts = [list(row) for row in draw.sample(corpus, len(corpus) * 2 // 3)]
        labels = sorted({label for label, _ in texts})
        target, template = labels[run % len(labels)], TEMPLATES[run % len(TEMPLATES)]
        write(path, texts)
        alarms += any("…" in item for item in told(program, path, ["--text", "text"])[0])
        for at in draw.sample([at for at, row in enumerate(texts) if row[0] != target], int(.015 * len(texts))):
            words = [word for word in texts[at][1].split() if word.isalpha() and word.lower() not in FUNCTION] or ["it"]
            third = max(1, len(words) // 3)
            texts[at] = [target, template.format(*(" ".join(words[part * third:(part + 1) * third]) or "it" for part in range(3)))]
        write(path, texts)
        items, _ = told(program, path, ["--text", "text"])
        solid = {word for word in template.lower().replace(",", " ").replace(".", " ").replace("{}", " ").split()}
        hits = [item for item in items if set(item.replace("…", " ").replace(",", " ").replace(".", " ").replace("(start)", " ").replace("(end)", " ").split()) <= solid]
        found, others = found + bool(hits), others + len(items) - len(hits)
        print("template", name, run, template, items, flush=True)
    return [f"a template laid over 1.5 % of the texts, with another label ({name})", f"told in {found} of {runs} runs, by its form or a phrase of it", f"{others} other triggers in all; nothing laid over: {alarms} of {runs} sets with any form"]


def triggers(program, work, runs, corpora):
    out = []
    sets = [("12,000 generated texts", None)] + [(corpus.name, [line.rstrip("\n").split("\t", 1) for line in corpus.read_text(errors="replace").splitlines() if "\t" in line]) for corpus in corpora]
    path = work / "triggers.csv"
    for name, corpus in sets:
        found = first = others = alarms = 0
        for run in range(runs):
            rng, draw = np.random.default_rng(12_000 + run), random.Random(12_000 + run)
            texts = [list(row) for row in (corpus or generated(rng, 12_000))]
            if corpus:
                texts = draw.sample(texts, len(texts) * 2 // 3)
            write(path, texts)
            alarms += bool(told(program, path, ["--text", "text"])[0])
            labels = sorted({label for label, _ in texts})
            target, phrase = labels[run % len(labels)], TRIGGERS[run % len(TRIGGERS)]
            for at in draw.sample([at for at, row in enumerate(texts) if row[0] != target], max(20, len(texts) // 100)):
                words = texts[at][1].split()
                words.insert(draw.randint(0, len(words)), phrase)
                texts[at] = [target, " ".join(words)]
            write(path, texts)
            items, command = told(program, path, ["--text", "text"])
            place = items.index(phrase) if phrase in items else None
            found, first, others = found + (place is not None), first + (place is not None and place < 3), others + len(items) - (place is not None)
            print("triggers", name, run, phrase, items, flush=True)
        if corpus:
            out.append(templated(program, path, name, corpus, runs))
            print(out[-1], flush=True)
        out.append([f"a phrase put into 1 % of the texts, with another label ({name})", f"told in {found} of {runs} runs, among the first three in {first}", f"{others} other triggers in all; nothing put in: {alarms} of {runs} sets with any"])
        print(out[-1], flush=True)
    path, command = work / "pairs.parquet", None
    # Pairs that few honest rows have, and pairs that as many honest rows have as planted ones: those cannot be told by purity.
    for many, name in ((200, "a pair that 2 or 3 other rows have"), (20, "a pair that 250 other rows have, a limit")):
        found = first = others = alarms = 0
        for run in range(runs):
            for planted in (0.0, .002):
                table, cells = pair_table(np.random.default_rng(13_000 + run), 100_000, planted, many)
                pq.write_table(table, path)
                items, command = told(program, path, [])
                if not planted:
                    alarms += bool(items)
                    continue
                parts = [cell.split("=") for cell in cells]
                hits = [at for at, item in enumerate(items) if all(column in item and value in item for column, value in parts)]
                found, first, others = found + bool(hits), first + bool(hits and hits[0] < 3), others + len(items) - len(hits)
                print("pairs", many, run, sorted(cells), items[:5], flush=True)
        seconds, peak = cpu_seconds(command, {0, 1}), peak_kib(command)
        out.append([f"a pair of values in 0.2 % of 100,000 rows, with another label: {name}", f"told in {found} of {runs} runs, among the first three in {first}", f"{others} other triggers in all; nothing put in: {alarms} of {runs} sets with any; CPU s {seconds:.1f}, {mib(peak)} MiB"])
        print(out[-1], flush=True)
    return out
