"""Units and names changed in real tables: halves of one table drawn at random are two versions without any change, and
with one that is planted into the later half."""

import csv
import json
import random
import subprocess


def told(program, before, now):
    done = subprocess.run([program, "data", "diff", str(now), "--before", str(before), "--format", "json"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1, 2):
        raise SystemExit(done.stderr)
    return [f for f in json.loads(done.stdout)["findings"] if f["name"].startswith("version-")]


def read(path):
    """Header and rows; a table without a header gets one."""
    text = path.read_text().splitlines()
    separator = max(",\t;", key=text[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(text, delimiter=separator) if row]
    named = not any(cell.replace(".", "").replace("-", "").isdigit() for cell in rows[0])
    header = rows[0] if named else [f"c{at}" for at in range(len(rows[0]))]
    return header, [row for row in rows[named:] if len(row) == len(header)]


def number(cell):
    try:
        return float(cell)
    except ValueError:
        return None


def versions(program, work, tables, runs):
    out = []
    before, now = work / "version-1.csv", work / "version-2.csv"
    for path in tables:
        header, rows = read(path)
        columns = list(zip(*rows))
        measures = [at for at, cells in enumerate(columns) if len(set(cells)) >= 60 and sum(number(c) is not None for c in cells) > .99 * len(cells)]
        kinds = [at for at, cells in enumerate(columns) if 2 <= len(set(cells)) <= 60 and all(number(c) is None for c in cells[:50])]
        wrong, found, tried = 0, {}, {}
        for run in range(runs):
            draw = random.Random(run)
            own = draw.sample(rows, len(rows))
            half = len(own) // 2

            def write(to, part):
                with open(to, "w", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(header)
                    writer.writerows(part)

            def judged(what, part, column, name):
                write(now, part)
                said = told(program, before, now)
                tried[what] = tried.get(what, 0) + 1
                found[what] = found.get(what, 0) + any(f["name"] == name and f["place"].get("part") == f"column {header[column]}" and f["severity"] != "note" for f in said)

            write(before, own[:half])
            write(now, own[half:])
            wrong += any(f["severity"] != "note" for f in told(program, before, now))
            for share in (1, .1) if measures else ():
                column = draw.choice(measures)
                part = [list(row) for row in own[half:]]
                for row in part:
                    value = number(row[column])
                    if value is not None and draw.random() < share:
                        row[column] = repr(value * 100)
                judged(f"cents in {share:.0%}", part, column, "version-unit-change")
            if kinds:
                column = draw.choice(kinds)
                word = draw.choice([w for w in sorted(set(columns[column])) if columns[column].count(w) > 200] or [columns[column][0]])
                part = [[("renamed" if cell == word and at == column else cell) for at, cell in enumerate(row)] for row in own[half:]]
                judged("a word renamed", part, column, "version-renamed-words")
        result = "; ".join(f"{what}: {found[what]} of {tried[what]}" for what in found)
        out.append([f"{path.name}, {len(rows):,} rows, {len(header)} columns", f"nothing planted, any alarm: {wrong} of {runs}", result])
        print(out[-1], flush=True)
    return out
