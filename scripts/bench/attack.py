"""PGD with 40 steps on 100 rows: ours from an ONNX file, beside the Adversarial Robustness Toolbox on torch."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import traceback

import backdoors
import bars
import battery
import gradients
import membership
import poisoned
import prices
import rivals
import streams
import texts
import whole
from measure import append, cpu_seconds, spread

SEED, ROWS, STEPS, EPSILON = 5, 100, 40, 0.1


def network(torch):
    class Digits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(1, 16, 3, padding=1)
            self.second = torch.nn.Conv2d(16, 32, 3, padding=1)
            self.last = torch.nn.Linear(128, 10)

        def forward(self, image):
            image = torch.nn.functional.max_pool2d(torch.relu(self.first(image)), 2)
            image = torch.nn.functional.max_pool2d(torch.relu(self.second(image)), 2)
            return self.last(torch.flatten(image, 1))

    return Digits()


def prepare(work):
    """A CNN on scikit-learn's own digits, as ONNX and as torch weights, with tables beside it."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    torch.manual_seed(SEED)
    digits = load_digits()
    x = (digits.data / 16).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(x, digits.target, test_size=0.3, random_state=SEED, stratify=digits.target)
    model = network(torch)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    images, labels = torch.tensor(train_x).reshape(-1, 1, 8, 8), torch.tensor(train_y)
    for _ in range(15):
        for part in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
            optimiser.step()
    model.eval()
    torch.save(model.state_dict(), work / "model.weights")
    folder = work / "system"
    folder.mkdir()
    torch.onnx.export(model, (images[:2],), str(folder / "model.onnx"), input_names=["image"], output_names=["logits"], dynamo=False, dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
    header = ",".join([*(f"p{index}" for index in range(64)), "digit"])
    for name, rows, answers in (("train", train_x, train_y), ("test", test_x, test_y)):
        lines = [",".join([*(f"{value:.6g}" for value in row), str(answer)]) for row, answer in zip(rows, answers, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join([header, *lines]) + "\n")
    np.savez(work / "rows.npz", x=test_x[:ROWS].reshape(-1, 1, 8, 8), y=test_y[:ROWS])


def peer(work):
    """ART's attack in this process; prints CPU of the attack alone and how many rows it turned."""
    import time

    import numpy as np
    import torch
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    torch.set_num_threads(1)
    model = network(torch)
    model.load_state_dict(torch.load(work / "model.weights"))
    model.eval()
    data = np.load(work / "rows.npz")
    classifier = PyTorchClassifier(model, torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0.0, 1.0), device_type="cpu")
    attack = ProjectedGradientDescent(classifier, norm=np.inf, eps=EPSILON, eps_step=2.5 * EPSILON / STEPS, max_iter=STEPS, num_random_init=1, batch_size=ROWS, verbose=False)
    start = time.process_time()
    moved = attack.generate(data["x"], data["y"])
    seconds = time.process_time() - start
    before = classifier.predict(data["x"]).argmax(1) == data["y"]
    after = classifier.predict(moved).argmax(1) == data["y"]
    print(json.dumps({"seconds": seconds, "right": int(before.sum()), "turned": int((before & ~after).sum())}))


def main():
    if sys.argv[1:2] == ["--peer"]:
        return peer(pathlib.Path(sys.argv[2]))
    parser = argparse.ArgumentParser()
    for name in ("mantlet", "work", "page"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--texts", help="the SMS Spam Collection, for the part of that name; left out without")
    parser.add_argument("--shared", help="a folder with models/ and eval_rows.npz of an earlier comparison: bars are measured on those files too")
    parser.add_argument("--part", choices=[*PARTS], action="append", help="only this part; may be repeated")
    options = parser.parse_args()
    work, failed = pathlib.Path(options.work), []
    for name, part in PARTS.items():
        if not options.part or name in options.part:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            begin = time.monotonic()
            try:
                part(options, work)
            except (Exception, SystemExit) as error:
                # One part's fault leaves the others their figures, and fails the whole at its end.
                traceback.print_exc()
                failed.append(f"{name}: {error}"[:200])
            print(f"part {name}: {time.monotonic() - begin:.0f} s", flush=True)
    shutil.rmtree(work, ignore_errors=True)
    if failed:
        raise SystemExit("; ".join(failed))


def planted(options, _):
    """Models with planted backdoors, found or not."""
    forge = pathlib.Path(options.mantlet).parent / "examples" / "backdoors"
    backdoors.run(forge, options.page, backdoors.SEEDS[:1] if options.quick else backdoors.SEEDS)


def beside_art(options, work):
    """PGD of both on one model."""
    prepare(work)
    system = work / "system"
    quiet = {"stdin": subprocess.DEVNULL, "check": True, "capture_output": True, "text": True}
    subprocess.run([options.mantlet, "init", str(system), "--decides", "a digit", "--endpoint", "built-in", "--notify", "nobody", "--impact", "low"], **quiet)
    attack = [options.mantlet, "attack", "run", str(system), "--only", "evasion-pgd", "--rows", str(ROWS), "--seed", str(SEED), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    art = [sys.executable, "-B", str(pathlib.Path(__file__).resolve()), "--peer", str(work)]
    ours, whole, alone = [], [], []
    rounds = 2 if options.quick else 5
    for turn in range(rounds):
        for which in (("ours", "peer") if turn % 2 else ("peer", "ours")):
            if which == "ours":
                ours.append(cpu_seconds(attack, {0, 1, 2}))
            else:
                whole.append(cpu_seconds(art, {0}, environment))
                said = json.loads(subprocess.run(art, env=environment, **quiet).stdout.splitlines()[-1])
                alone.append(said["seconds"])
    report = json.loads(subprocess.run(attack, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout)
    gradients = gradients_of(report)
    each = statistics.median(ours) / gradients * 1e6
    rows = [
        ["mantlet, whole process", spread(ours), "1", figures(report), f"{each:.1f} (of {gradients})"],
        ["ART, attack alone, torch imported before", spread(alone), f"{statistics.median(alone) / statistics.median(ours):.1f}", f"{said['turned']} of {said['right']} turned", f"{statistics.median(alone) / (ROWS * STEPS) * 1e6:.1f}"],
        ["ART, whole process", spread(whole), f"{statistics.median(whole) / statistics.median(ours):.1f}", "the same", f"{statistics.median(whole) / (ROWS * STEPS) * 1e6:.1f}"],
    ]
    note = f"L-infinity {EPSILON} of the range, {STEPS} steps of 2.5 radii over the steps, {ROWS} rows of scikit-learn's digits, CNN of 16 and 32 maps; one thread each, {rounds} rotated rounds. mantlet restarts once on rows that held, so it asks for more gradients than ART: compare the last column."
    append(options.page, "Attacking", ["who", "CPU s, median [range]", "over mantlet", "rows", "CPU us per gradient of a row"], rows, note)


def compare(options, work):
    """The battery on models of the literature's size, beside ART and Foolbox."""
    compared = battery.run(options.mantlet, work, options.quick)
    about = "Digits of scikit-learn, first 100 held-out rows (10 for attacks that see decisions only): L-infinity 0.15, for cnn_at 0.2; cnn_at is trained against PGD, cnn_masked is cnn_std with its logits times 1000. Breast cancer, with mean at most worst in ten pairs of columns, which every success of mantlet obeys. CPU s: mantlet the whole process with loading, checks and report, both cores; peers the attack alone, torch imported and model loaded before, one thread."
    append(options.page, "Attacking", ["model", "attack", "who", "rows turned", "rows asked for each", "median L2", "CPU s", "not to be trusted"], compared, about)


def gradients_of(report):
    """Gradients of single rows that the campaign asked for, as it counts them."""
    return report[0]["queries"]


def figures(report):
    return f"{report[0]['counts']['hit']} of {report[0]['n']} turned"


PARTS = {"backdoors": planted, "pgd": beside_art, "gradients": gradients.run, "battery": compare, "bars": bars.run, "membership": membership.run, "poisoned": poisoned.run, "prices": prices.run, "texts": texts.run, "streams": streams.run, "rivals": rivals.run, "whole": whole.run}

if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    main()
