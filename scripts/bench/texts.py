"""A spam filter of words behind a program, attacked through its texts: a public set of messages, TF-IDF and a linear
classifier of scikit-learn, `mantlet attack text` beside a plain DeepWordBug (Gao and others 2018) written from the paper.

A part of `cargo xtask bench attack`; alone with `--part texts`. The set is not in the tree: give the SMS Spam Collection
(Almeida and Hidalgo 2011, UCI) with `--texts FILE`, one message a line behind its label and a tab."""

import csv
import json
import os
import pathlib
import pickle
import random
import subprocess
import sys

import battery
from measure import append

WIDTH, ROWS = 480, 100


def serve(path):
    """The filter as a program: one JSON line a question, one an answer."""
    model = pickle.loads(path.read_bytes())
    for line in sys.stdin:
        question = json.loads(line)
        texts = question["texts"]
        if question["ask"] == "labels":
            answer = {"labels": [int(label) for label in model.predict(texts)]}
        else:
            answer = {"scores": [[float(share) for share in row] for row in model.predict_proba(texts)]}
        print(json.dumps({"id": question["id"], **answer}), flush=True)


def prepare(work, path, seed):
    """The filter, and the spam it reads as spam among messages it has not learned."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline

    messages = [line.rstrip("\n").split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line]
    labels, texts = [int(label == "spam") for label, _ in messages], [text for _, text in messages]
    train_x, test_x, train_y, test_y = train_test_split(texts, labels, test_size=0.3, random_state=seed, stratify=labels)
    made = {}
    for name, words in (("words", {"analyzer": "word"}), ("letters", {"analyzer": "char_wb", "ngram_range": (2, 4)})):
        model = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2, **words), LogisticRegression(C=20, max_iter=2000))
        model.fit(train_x, train_y)
        (work / f"{name}-{seed}.pickle").write_bytes(pickle.dumps(model))
        right = sum(int(a == b) for a, b in zip(model.predict(test_x), test_y, strict=True)) / len(test_y)
        spam = [text for text, label in zip(test_x, test_y, strict=True) if label and 8 <= len(text) <= WIDTH // 2]
        spam = [text for text, said in zip(spam, model.predict(spam), strict=True) if said][:ROWS]
        table = work / f"{name}-{seed}.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["text", "label"], *([text, "spam"] for text in spam)])
        target = work / f"{name}-{seed}.toml"
        command = json.dumps([sys.executable, "-B", str(pathlib.Path(__file__).resolve()), str(work / f"{name}-{seed}.pickle")])
        target.write_text(f'kind = "process"\ncommand = {command}\ntext = true\nshape = [{WIDTH}]\nclasses = ["ham", "spam"]\nscores = true\n')
        made[name] = (model, table, target, spam, right)
    return made


def wilson(hits, n):
    z, share = 1.96, hits / max(1, n)
    middle, half = share + z * z / (2 * n), z * ((share * (1 - share) + z * z / (4 * n)) / n) ** 0.5
    return f"{hits} of {n} [{(middle - half) / (1 + z * z / n):.3f}, {(middle + half) / (1 + z * z / n):.3f}]"


def bug(model, text, source, most):
    """DeepWordBug: words in the order in which leaving them out lowers the score, one slip of the pen each."""
    words, asked = text.split(), 0

    def spam(texts):
        nonlocal asked
        asked += len(texts)
        return model.predict_proba(texts)[:, 1]

    base = spam([text])[0]
    order = spam([" ".join(words[:at] + words[at + 1 :]) for at in range(len(words))])
    order = sorted(range(len(words)), key=lambda at: order[at] - base)
    for done, at in enumerate(order[: max(1, int(most * len(words)))]):
        word = words[at]
        if len(word) < 2:
            continue
        place = source.randrange(len(word) - 1)
        letter = source.choice("abcdefghijklmnopqrstuvwxyz")
        kinds = [word[:place] + word[place + 1] + word[place] + word[place + 2 :], word[:place] + letter + word[place + 1 :], word[:place] + word[place + 1 :], word[:place] + letter + word[place:]]
        shares = spam([" ".join([*words[:at], kind, *words[at + 1 :]]) for kind in kinds])
        words[at] = kinds[int(shares.argmin())]
        if shares.min() < 0.5:
            return True, done + 1, asked
    return False, 0, asked


def embedded(options, work):
    """A perceptron over embeddings of the messages (64 numbers of latent semantics), from the file: attacks that see scores
    change the embedding itself, as one who owns the encoder's place can."""
    import numpy as np
    from skl2onnx import to_onnx
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    messages = [line.rstrip("\n").split("\t", 1) for line in pathlib.Path(options.texts).read_text(encoding="utf-8").splitlines() if "\t" in line]
    labels = np.array([int(label == "spam") for label, _ in messages])
    rows = []
    for seed in (1,) if options.quick else (1, 2, 3):
        train, test, train_y, test_y = train_test_split([text for _, text in messages], labels, test_size=0.3, random_state=seed, stratify=labels)
        encoder = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2), TruncatedSVD(64, random_state=seed), Normalizer())
        train_x, test_x = encoder.fit_transform(train).astype(np.float32), encoder.transform(test).astype(np.float32)
        spam = np.flatnonzero(test_y == 1)
        order = np.concatenate([spam, np.flatnonzero(test_y == 0)])
        model = MLPClassifier((64,), max_iter=60, random_state=seed).fit(train_x, train_y)
        folder = work / f"embedded-{seed}"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(to_onnx(model, train_x[:1], options={"zipmap": False}).SerializeToString())
        names = [f"e{index}" for index in range(64)]
        battery.table(folder / "train.csv", names, train_x, train_y, "label")
        battery.table(folder / "test.csv", names, test_x[order], test_y[order], "label")
        battery.system(options.mantlet, folder, "spam")
        for attack, settings in (("evasion-square", {"epsilon": 0.02}), ("evasion-square", {"epsilon": 0.05}), ("evasion-nes", {"norm": "linf", "epsilon": 0.02}), ("evasion-pgd", {"norm": "linf", "epsilon": 0.02})):
            report, seconds = battery.reported(options.mantlet, folder, attack, settings, ROWS)
            queries = [row["queries"] for row in report["outcome"]["rows"]]
            shown = "" if attack == "evasion-pgd" else f"{sum(queries) / max(1, len(queries)):.0f}"
            rows.append([f"seed {seed} ({model.score(test_x, test_y):.3f} right)", f"{attack}, Linf {settings['epsilon']} of a number's range", wilson(report["counts"]["hit"], report["n"]), shown, f"{seconds:.2f}"])
            print(rows[-1], flush=True)
    append(options.page, "Attacking", ["embeddings of messages", "attack", "spam read as ham", "rows asked for each", "CPU s"], rows, f"SMS Spam Collection, TF-IDF brought to 64 numbers of unit length, scikit-learn's perceptron of 64; the first {ROWS} held-out spam messages, those read right.")


def run(options, work):
    if not options.texts:
        print("texts: no set of messages is named (`--texts FILE`), left out", flush=True)
        return
    rows = []
    for seed in (1,) if options.quick else (1, 2, 3):
        for name, (model, table, target, spam, right) in prepare(work, pathlib.Path(options.texts), seed).items():
            filter_ = f"TF-IDF of {name}, seed {seed} ({right:.3f} right)"
            for attack in ("text-homoglyphs", "text-unseen", "text-characters", "text-words"):
                output = work / "report.json"
                command = [options.mantlet, "attack", "text", str(table), "--target", str(target), "--only", attack, "--rows", str(ROWS), "--seed", str(seed), "--json", "--output", str(output)]
                before = os.times()
                done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
                after = os.times()
                if done.returncode not in (0, 1, 2):
                    raise SystemExit(f"{' '.join(command)}: {done.stderr}")
                report = json.loads(output.read_text())[0]
                hits = report["counts"]["hit"]
                words = dict(report["facts"].get("hits-by-loss", [])).get("words changed", 0)
                each = sum(row["queries"] for row in report["outcome"]["rows"]) / max(1, report["n"])
                rows.append([filter_, f"mantlet {attack}", wilson(hits, report["n"]), f"{words / hits:.1f}" if hits else "", f"{each:.0f}", f"{after.children_user + after.children_system - before.children_user - before.children_system:.2f}"])
                print(rows[-1], flush=True)
            source, before = random.Random(seed), os.times()
            bugs = [bug(model, text, source, 0.25) for text in spam]
            after, won = os.times(), [words for hit, words, _ in bugs if hit]
            rows.append([filter_, "DeepWordBug, from the paper", wilson(len(won), len(bugs)), f"{sum(won) / len(won):.1f}" if won else "", f"{sum(asked for *_, asked in bugs) / len(bugs):.0f}", f"{after.user + after.system - before.user - before.system:.2f}"])
            print(rows[-1], flush=True)
    embedded(options, work)
    note = f"SMS Spam Collection, 70 % learned; the first {ROWS} held-out spam messages of 8 to {WIDTH // 2} characters that the filter reads as spam, logistic regression over TF-IDF behind `kind = \"process\"` with scores; a hit passes as ham with at most a quarter of its words changed. Words: mean of the hits. CPU of mantlet with the filter's process in it; of the peer in the process of the filter."
    append(options.page, "Attacking", ["spam filter", "who", "passed as ham", "words changed", "texts asked for each", "CPU s"], rows, note)


if __name__ == "__main__":
    serve(pathlib.Path(sys.argv[1]))
