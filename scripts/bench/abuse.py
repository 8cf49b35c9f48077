"""Insults and threats in texts: how many of a list are told, and how many ordinary texts are. The lists were written before the rule; their odd lines were looked at while it was written, their even lines were not."""

import csv
import pathlib
import subprocess

HERE = pathlib.Path(__file__).with_name("abuse")


def told(program, work, texts):
    """The places of the texts that are told."""
    path, rows = work / "abuse.csv", work / "abuse-rows.csv"
    with open(path, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(texts))
    rows.unlink(missing_ok=True)
    done = subprocess.run([program, "data", "texts", str(path), "--text", "text", "--rows", str(rows)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return {int(row["row"]) - 1 for row in csv.DictReader(rows.open()) if "abuse-aimed" in row["rules"].split()}


def abuse(program, work, corpora):
    out = []
    for name, what in (("insulting", "insults and threats"), ("ordinary", "ordinary texts: harsh reviews, medicine, law, programs, history, games, teasing")):
        texts = (HERE / f"{name}.txt").read_text().splitlines()
        for first, part in ((0, "odd lines, looked at"), (1, "even lines, not looked at")):
            own = texts[first::2]
            hit = told(program, work, own)
            for at, text in enumerate(own):
                if (at in hit) == (name == "ordinary") and first == 0:
                    print("wrong", name, text, flush=True)
            out.append([f"{what} ({part})", f"{len(hit)} of {len(own)} told", f"{len(hit) / len(own):.1%}"])
    for corpus in corpora:
        texts = [line.split("\t", 1)[-1] for line in corpus.read_text(errors="replace").splitlines() if line.strip()]
        hit = told(program, work, texts)
        for at in sorted(hit)[:60]:
            print("told", corpus.name, texts[at][:160], flush=True)
        out.append([f"{len(texts):,} texts of {corpus.name}", f"{len(hit)} told", ""])
    return out
