"""Turned labels of texts and pictures: how many are found, beside cleanlab with an ordinary learner of scikit-learn."""

import csv
import json
import subprocess
import time

import numpy as np

from images import digits
from measure import cpu_seconds, mib, peak_kib

SHARE = .05


def turn(labels, rng, aimed):
    """A copy with a twentieth of the labels turned, and which. Aimed: of the rarest label only, into the most frequent."""
    names, counts = np.unique(labels, return_counts=True)
    given = labels.copy()
    rare, common = names[counts.argmin()], names[counts.argmax()]
    can = np.where(labels == rare)[0] if aimed else np.arange(len(labels))
    chosen = rng.choice(can, int(SHARE * len(can) * (4 if aimed else 1)), replace=False)
    for row in chosen:
        given[row] = common if aimed else rng.choice(names[names != labels[row]])
    turned = np.zeros(len(labels), bool)
    turned[chosen] = True
    return given, turned


def judged(told, turned):
    hit = turned[sorted(told)].sum() if told else 0
    return hit / turned.sum(), hit / len(told) if told else 0.0


def ours(program, arguments, flagged, first):
    flagged.unlink(missing_ok=True)
    command = [program, "data", "labels", *map(str, arguments), "--rows", str(flagged)]
    done = subprocess.run([*command, "--format", "json"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command}: {done.returncode}: {done.stderr}")
    json.loads(done.stdout)
    with flagged.open() as listed:
        return {int(row[0]) - first for row in list(csv.reader(listed))[1:]}, command


def theirs(learner, x, given):
    """cleanlab's flags from out-of-fold probabilities, three folds; CPU seconds of this process."""
    from cleanlab.filter import find_label_issues
    from sklearn.model_selection import cross_val_predict
    names, codes = np.unique(given, return_inverse=True)
    started = time.process_time()
    chances = cross_val_predict(learner, x, codes, cv=3, method="predict_proba")
    flags = find_label_issues(codes, chances, n_jobs=1)
    return set(np.where(flags)[0].tolist()), time.process_time() - started


def compared(name, runs, labels, look, learner, x):
    out = []
    for aimed in (False, True):
        scores, command = {"ours": [], "cleanlab": []}, None
        seconds = 0.0
        for run in range(runs):
            given, turned = turn(labels, np.random.default_rng(4_200 + run), aimed)
            told, command = look(given)
            scores["ours"].append(judged(told, turned))
            told, seconds = theirs(learner(), x, given)
            scores["cleanlab"].append(judged(told, turned))
        own, peak = cpu_seconds(command, {0, 1}), peak_kib(command)
        what = "a fifth of the rarest label turned into the most frequent" if aimed else "one label in twenty turned"
        means = {who: np.mean(found, axis=0) for who, found in scores.items()}
        said = ", ".join(f"{who} recall {recall:.3f}, precision {precision:.3f}" for who, (recall, precision) in means.items())
        out.append([f"{name}, {what}", said, f"{runs} runs; ours CPU s {own:.1f}, {mib(peak)} MiB; cleanlab and its learner {seconds:.1f} without start and reading"])
        print(out[-1], flush=True)
    told, _ = look(labels)
    flags, _ = theirs(learner(), x, labels)
    out.append([f"{name}, as they are: rows told", f"ours {len(told):,}, cleanlab {len(flags):,} of {len(labels):,}", "their labels may be wrong as well"])
    print(out[-1], flush=True)
    return out


def mislabelled(program, work, runs, corpora, folder):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    out = []
    for corpus in corpora:
        lines = [line.split("\t", 1) for line in corpus.read_text(errors="replace").splitlines() if "\t" in line]
        labels, texts = np.array([line[0] for line in lines]), [line[1].replace("\r", " ") for line in lines]

        def look(given, texts=texts):
            table = work / "mislabelled.csv"
            with table.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerows([("text", "label"), *zip(texts, given)])
            return ours(program, [table, "--label", "label", "--text", "text"], work / "mislabelled-rows.csv", 1)

        learner = lambda: make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
        out += compared(f"{len(labels):,} texts of {corpus.name}; cleanlab with TF-IDF and logistic regression", runs, labels, look, learner, texts)
    pictures, labels = digits(folder)

    def look(given):
        array, names = work / "x.npy", work / "y.npy"
        np.save(array, pictures.astype(np.int16))
        np.save(names, given.astype(np.int64))
        return ours(program, [array, "--pictures", "--labels", names], work / "mislabelled-rows.csv", 0)

    learner = lambda: MLPClassifier((64,), max_iter=60, early_stopping=True, random_state=0)
    out += compared(f"{len(labels):,} digits of 8 by 8; cleanlab with a network of one hidden layer", runs, labels, look, learner, pictures.reshape(len(labels), -1) / 16)
    return out
