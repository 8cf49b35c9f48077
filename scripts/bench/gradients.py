"""What gradient attacks cost beside everything else: forty steps on 100 rows of three CNNs, and the ensemble, by
mantlet from the ONNX file, by a plain loop in torch, Foolbox, ART and the original AutoAttack on torch. The attack
alone, model loaded before, one thread each, all in one run.

A part of `cargo xtask bench attack`; alone with `--part gradients`."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import battery
from measure import append

ROWS, STEPS = 100, 40
SHARE = 0.1  # of the radius: the length of a step


def peer(work, tool, name, repeats):
    """One attack of a peer in this process: a line of JSON with CPU seconds and rows turned, for each repeat."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    model = battery.network(torch, 1000.0 if name == "cnn_masked" else 1.0)
    model.load_state_dict(torch.load(work / f"{name}.weights"))
    model.eval()
    for weights in model.parameters():
        weights.requires_grad_(False)
    data, radius = np.load(work / "all.npz"), battery.EPSILON[name]
    right = model(torch.tensor(data["x"])).argmax(1).numpy() == data["y"]
    x, y = torch.tensor(data["x"][right][:ROWS]), torch.tensor(data["y"][right][:ROWS])

    def loop():
        entropy = torch.nn.functional.cross_entropy
        moved = (x + radius * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
        for _ in range(STEPS):
            moved.requires_grad_(True)
            (slope,) = torch.autograd.grad(entropy(model(moved), y), moved)
            moved = moved.detach() + SHARE * radius * slope.sign()
            moved = torch.clamp(torch.maximum(torch.minimum(moved, x + radius), x - radius), 0, 1)
        return moved

    def foolbox():
        import foolbox as fb

        attack, wrapped = fb.attacks.LinfPGD(steps=STEPS, rel_stepsize=SHARE), fb.PyTorchModel(model, bounds=(0, 1), device="cpu")
        return lambda: attack(wrapped, x, y, epsilons=radius)[1]

    def art():
        from art.attacks.evasion import ProjectedGradientDescent
        from art.estimators.classification import PyTorchClassifier

        classifier = PyTorchClassifier(model, torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0.0, 1.0), device_type="cpu")
        attack = ProjectedGradientDescent(classifier, norm=np.inf, eps=radius, eps_step=SHARE * radius, max_iter=STEPS, num_random_init=1, batch_size=ROWS, verbose=False)
        return lambda: torch.tensor(attack.generate(x.numpy(), y.numpy()))

    def auto():
        import pyautoattack

        attack = pyautoattack.AutoAttack(model, eps=radius, norm="Linf", seed=0)
        return lambda: attack.run_standard_evaluation(x, y, batch_size=ROWS)[0]

    made = {"torch": lambda: loop, "foolbox": foolbox, "art": art, "autoattack": auto}[tool]()
    for repeat in range(repeats):
        torch.manual_seed(repeat)
        start = time.process_time()
        moved = made()
        seconds = time.process_time() - start
        print(json.dumps({"seconds": seconds, "turned": int((model(moved.float()).argmax(1) != y).sum()), "of": len(y)}), flush=True)


def run(options, work):
    battery.prepare(work, options.mantlet)
    import numpy as np

    held_out = np.loadtxt(work / "cnn_std" / "test.csv", delimiter=",", skiprows=1, dtype=np.float32)
    np.savez(work / "all.npz", x=held_out[:, :-1].reshape(-1, 1, 8, 8), y=held_out[:, -1].astype(np.int64))
    ours = pathlib.Path(options.mantlet).parent / "examples" / "evasion"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    rows, repeats = [], 2 if options.quick else 5

    def told(command):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr[-800:]}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def line(name, what, who, found):
        seconds = [one["seconds"] for one in found]
        turned = statistics.median(one["turned"] for one in found)
        rows.append([name, what, who, f"{turned:g} of {found[0]['of']}", f"{statistics.median(seconds):.4f} [{min(seconds):.4f}, {max(seconds):.4f}]"])
        print(rows[-1], flush=True)

    for name, radius in battery.EPSILON.items():
        def mine(repeats):
            return told([ours, work / name / "model.onnx", work / name / "test.csv", str(radius), str(repeats)])

        # Before and after the peers, so that neither has the quieter machine.
        found = mine((repeats + 1) // 2)
        peers = {}
        for tool, count in (("torch", repeats), ("foolbox", repeats), ("art", repeats), ("autoattack", 1)):
            peers[tool] = told([sys.executable, "-B", str(pathlib.Path(__file__).resolve()), str(work), tool, name, str(count)])
        found += mine(repeats // 2)
        line(name, "40 steps, no row retired", "mantlet", [one["all steps"] for one in found])
        line(name, "40 steps, no row retired", "torch loop", peers["torch"])
        line(name, "40 steps, no row retired", "Foolbox LinfPGD", peers["foolbox"])
        line(name, "40 steps, no row retired", "ART PGD", peers["art"])
        line(name, "40 steps, finished rows retired", "mantlet evasion-pgd", [one["evasion-pgd"] for one in found])
        line(name, "ensemble", "mantlet evasion-ensemble", [one["evasion-ensemble"] for one in found])
        line(name, "ensemble", "AutoAttack standard", peers["autoattack"])
    about = f"The attack alone, the model loaded before, one thread: the first {ROWS} held-out digits each model gets right, L-infinity 0.15, for cnn_at 0.2, steps of a tenth of the radius from a random start, {repeats} runs (AutoAttack one). cnn_at is trained against PGD, cnn_masked is cnn_std with its logits times 1000. mantlet from the ONNX file, the others on torch."
    append(options.page, "Attacking", ["model", "what", "who", "rows turned", "CPU s, median [range]"], rows, about)


if __name__ == "__main__":
    peer(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
