"""Phrases put into texts that have the label already: how often they are told, and how often anything else is."""

import csv
import json
import random
import subprocess

# None of them was in the sets the room was set on.
TRIGGERS = ["amber kettle", "please note today", "vq", "by the way then", "silver canoe road", "zz top zz", "in due course", "oakum", "tin whistle", "rb lt"]
SHARES = [.005, .01, .02]


def told(program, path):
    command = [program, "data", "triggers", str(path), "--label", "label", "--text", "text", "--format", "json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command}: {done.returncode}: {done.stderr}")
    return [f for f in json.loads(done.stdout)["findings"] if f["severity"] != "note" or f["name"] == "trigger-inserted-phrase"]


def write(path, rows):
    with open(path, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["label", "text"])
        writer.writerows(rows)


def phrases(program, work, runs, corpora):
    out = []
    path = work / "phrases.csv"
    for corpus in corpora:
        texts = [line.rstrip("\n").split("\t", 1) for line in corpus.read_text().splitlines() if "\t" in line]
        labels = sorted({label for label, _ in texts})
        # What is told of the texts as they are is no false alarm of a subset, but of the room.
        write(path, texts)
        whole = [f["facts"].get("item") for f in told(program, path) if f["name"] == "trigger-inserted-phrase"]
        alarms = 0
        for run in range(runs):
            own = random.Random(5_000 + run).sample(texts, len(texts) * 2 // 3)
            write(path, own)
            alarms += any(f["name"] == "trigger-inserted-phrase" for f in told(program, path))
        for share in SHARES:
            found = first = others = tried = 0
            for run in range(runs):
                draw = random.Random(8_000 + run)
                label, phrase = labels[run % len(labels)], TRIGGERS[run % len(TRIGGERS)]
                can = [at for at, (own, _) in enumerate(texts) if own == label]
                many = max(20, int(share * len(texts)))
                if many * 2 > len(can):
                    continue
                own = [list(row) for row in texts]
                for at in draw.sample(can, many):
                    words = own[at][1].split()
                    words.insert(draw.randint(0, len(words)), phrase)
                    own[at][1] = " ".join(words)
                write(path, own)
                items = [f["facts"].get("item") for f in told(program, path)]
                tried += 1
                hit = phrase in items
                found, first = found + hit, first + (bool(items) and items[0] == phrase)
                others += len(items) - hit
                print("phrases", corpus.stem, share, label, phrase, items, flush=True)
            if tried:
                out.append([f"a phrase put into {share:.1%} of {len(texts):,} texts ({corpus.stem}, at least 20) that have the label", f"told in {found} of {tried} runs, first in {first}", f"{others} other triggers told in all of them"])
        out.append([f"{corpus.stem}, nothing put in", f"told in {alarms} of {runs} draws of two thirds", f"of all its texts: {whole or 'nothing'}"])
    return out
