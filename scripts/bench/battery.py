"""The battery on the models of the literature's size: an ordinary CNN, one trained against attacks, one whose
gradients are masked, a table's MLP and its boosted trees. Ours from the files, ART and Foolbox on torch, on the
same rows in the same run."""

import json
import os
import pathlib
import pickle
import subprocess
import sys
import time

ROWS = 100
EPSILON = {"cnn_std": 0.15, "cnn_at": 0.2, "cnn_masked": 0.15}


def network(torch, scale=1.0):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.c1 = torch.nn.Conv2d(1, 16, 3, padding=1)
            self.c2 = torch.nn.Conv2d(16, 32, 3, padding=1)
            self.f1 = torch.nn.Linear(512, 64)
            self.f2 = torch.nn.Linear(64, 10)

        def forward(self, x):
            x = torch.relu(self.c1(x))
            x = torch.max_pool2d(torch.relu(self.c2(x)), 2)
            return self.f2(torch.relu(self.f1(x.flatten(1)))) * scale

    return Net()


def table_network(torch):
    layers = [torch.nn.Linear(30, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2)]
    return torch.nn.Sequential(*layers)


def fit(torch, net, x, y, epochs, against=0.0):
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    entropy = torch.nn.functional.cross_entropy
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            rows, labels = x[part], y[part]
            if against:
                moved = torch.empty_like(rows).uniform_(-against, against)
                for _ in range(7):
                    moved.requires_grad_(True)
                    (slope,) = torch.autograd.grad(entropy(net((rows + moved).clamp(0, 1)), labels), moved)
                    moved = (moved + against / 4 * slope.sign()).clamp(-against, against).detach()
                rows = (rows + moved).clamp(0, 1)
            optimiser.zero_grad()
            entropy(net(rows), labels).backward()
            optimiser.step()
    return net.eval()


def table(path, names, x, y, label):
    lines = [",".join([*names, label])]
    lines += [",".join([*(f"{value:.9g}" for value in row), str(answer)]) for row, answer in zip(x.reshape(len(x), -1), y, strict=True)]
    path.write_text("\n".join(lines) + "\n")


def prepare(work, mantlet):
    """A folder for each model, as a user has it, and the weights for the peers."""
    import numpy as np
    import torch
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.model_selection import train_test_split

    torch.set_num_threads(1)
    digits = load_digits()
    x = (digits.data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    split = train_test_split(x, digits.target, test_size=500, random_state=0, stratify=digits.target)
    train_x, test_x, train_y, test_y = split
    tensors = torch.tensor(train_x), torch.tensor(train_y)
    models = {}
    for name, epochs, against in (("cnn_std", 30, 0.0), ("cnn_at", 40, 0.15)):
        torch.manual_seed(0)
        models[name] = fit(torch, network(torch), *tensors, epochs, against)
    models["cnn_masked"] = network(torch, 1000.0)
    models["cnn_masked"].load_state_dict(models["cnn_std"].state_dict())
    models["cnn_masked"].eval()
    np.savez(work / "digits.npz", x=test_x[:ROWS], y=test_y[:ROWS])
    names = [f"p{index}" for index in range(64)]
    for name, model in models.items():
        torch.save(model.state_dict(), work / f"{name}.weights")
        folder = work / name
        folder.mkdir()
        export(torch, model, torch.zeros(2, 1, 8, 8), folder / "model.onnx")
        table(folder / "train.csv", names, train_x, train_y, "digit")
        table(folder / "test.csv", names, test_x, test_y, "digit")
        system(mantlet, folder, "a digit")
    cancer = load_breast_cancer()
    x = cancer.data.astype(np.float32)
    low, high = x.min(0), x.max(0)
    x = ((x - low) / (high - low)).astype(np.float32)
    split = train_test_split(x, cancer.target, test_size=0.3, random_state=0, stratify=cancer.target)
    train_x, test_x, train_y, test_y = split
    torch.manual_seed(0)
    mlp = fit(torch, table_network(torch), torch.tensor(train_x), torch.tensor(train_y), 60)
    names = [f"c{index}" for index in range(30)]
    rules = {"relations": [{"relation": "at-most", "terms": [[f"c{at}", float(high[at] - low[at])], [f"c{at + 20}", -float(high[at + 20] - low[at + 20])]], "bound": float(low[at + 20] - low[at])} for at in range(10)]}
    (work / "rules.json").write_text(json.dumps(rules))
    np.savez(work / "cancer.npz", x=test_x, y=test_y, low=low, high=high)
    torch.save(mlp.state_dict(), work / "mlp.weights")
    for name in ("mlp", "gbdt"):
        folder = work / name
        folder.mkdir()
        if name == "mlp":
            export(torch, mlp, torch.zeros(2, 30), folder / "model.onnx")
        else:
            import xgboost
            from onnxmltools.convert import convert_xgboost
            from onnxmltools.convert.common.data_types import FloatTensorType

            trees = xgboost.XGBClassifier(n_estimators=100, max_depth=4, learning_rate=0.1, n_jobs=1, random_state=0)
            trees.fit(train_x, train_y)
            (work / "gbdt.pickle").write_bytes(pickle.dumps(trees))
            made = convert_xgboost(trees, initial_types=[("x", FloatTensorType([None, 30]))])
            (folder / "model.onnx").write_bytes(made.SerializeToString())
        table(folder / "train.csv", names, train_x, train_y, "label")
        table(folder / "test.csv", names, test_x, test_y, "label")
        system(mantlet, folder, "a diagnosis")


def export(torch, model, rows, path):
    axes = {"x": {0: "n"}, "logits": {0: "n"}}
    torch.onnx.export(model, (rows,), str(path), input_names=["x"], output_names=["logits"], dynamic_axes=axes, dynamo=False)


def system(mantlet, folder, decides):
    command = [mantlet, "init", str(folder), "--decides", decides, "--endpoint", "built-in", "--notify", "nobody", "--impact", "low"]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, capture_output=True)


def reported(mantlet, folder, attack, settings=None, rows=None, rules=None):
    """One attack in a process of its own: what its report says of it, and the CPU seconds of the whole process."""
    command = [mantlet, "attack", "run", str(folder), "--only", attack, "--seed", "1", "--json"]
    command += [word for key, value in (settings or {}).items() for word in ("--set", f"{key}={json.dumps(value)}")]
    command += ["--rows", str(rows)] if rows else []
    command += ["--constraints", str(rules)] if rules else []
    output = folder / "report.json"
    before = os.times()
    done = subprocess.run([*command, "--output", str(output)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    after = os.times()
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    report = next(one for one in json.loads(output.read_text()) if one["probe"] == attack)
    return report, after.children_user + after.children_system - before.children_user - before.children_system


def ours(mantlet, folder, attack, rows, settings, rules=None):
    """One attack: rows turned, CPU seconds, queries a row, median L2, what it says."""
    report, seconds = reported(mantlet, folder, attack, settings, rows, rules)
    counts = report["counts"]
    medians = {figure["name"]: figure["value"]["value"] for figure in report["figures"]}
    each = sum(row["queries"] for row in report["outcome"]["rows"]) / max(1, report["n"])
    return {
        "turned": f"{counts['hit']} of {report['n']}",
        "share": counts["hit"] / max(1, report["n"]),
        "seconds": seconds,
        "each": each,
        "l2": medians.get("median L2 of changed rows"),
        "doubts": sorted({doubt["kind"] for doubt in report["doubts"]}),
    }


def peer(work, tool, name, attack):
    """One attack of a peer in this process; prints a line of JSON. CPU of the attack alone."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    scale = 1000.0 if name == "cnn_masked" else 1.0
    model = network(torch, scale)
    model.load_state_dict(torch.load(work / f"{name}.weights"))
    model.eval()
    data = np.load(work / "digits.npz")
    epsilon = EPSILON[name]
    asked = 0
    forward = model.forward

    def counted(rows):
        nonlocal asked
        asked += len(rows)
        return forward(rows.float())

    model.forward = counted
    right = model(torch.tensor(data["x"])).argmax(1).numpy() == data["y"]
    x, y = data["x"][right], data["y"][right]
    if attack == "hop-skip-jump":
        x, y = x[:10], y[:10]
    asked = 0
    start = time.process_time()
    if tool == "art":
        from art.attacks import evasion
        from art.estimators.classification import PyTorchClassifier

        classifier = PyTorchClassifier(model, torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0.0, 1.0), device_type="cpu")
        made = {
            "fgsm": lambda: evasion.FastGradientMethod(classifier, norm=np.inf, eps=epsilon, batch_size=ROWS),
            "pgd": lambda: evasion.ProjectedGradientDescent(classifier, norm=np.inf, eps=epsilon, eps_step=2.5 * epsilon / 40, max_iter=40, num_random_init=1, batch_size=ROWS, verbose=False),
            "square": lambda: evasion.SquareAttack(classifier, norm=np.inf, eps=epsilon, max_iter=1000, batch_size=ROWS, verbose=False),
            "hop-skip-jump": lambda: evasion.HopSkipJump(classifier, norm=2, max_iter=8, batch_size=10, verbose=False),
        }[attack]()
        start, asked = time.process_time(), 0
        moved = made.generate(x, y)
    else:
        import foolbox

        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
        made, radius = {
            "fgsm": (foolbox.attacks.LinfFastGradientAttack(), epsilon),
            "pgd": (foolbox.attacks.LinfPGD(steps=40, rel_stepsize=2.5 / 40), epsilon),
            "ddn": (foolbox.attacks.DDNAttack(steps=100), None),
        }[attack]
        start, asked = time.process_time(), 0
        _, moved, _ = made(wrapped, torch.tensor(x), torch.tensor(y), epsilons=radius)
        moved = moved.numpy()
    seconds, queries = time.process_time() - start, asked
    after = model(torch.tensor(moved.astype(np.float32))).argmax(1).numpy() != y
    l2 = np.sqrt(((moved - x) ** 2).reshape(len(x), -1).sum(1))
    turned = int(after.sum())
    print(json.dumps({"turned": f"{turned} of {len(y)}", "seconds": seconds, "each": queries / len(y), "l2": float(np.median(l2[after])) if turned else None}))


def run(mantlet, work, quick):
    """The table's rows."""
    prepare(work, mantlet)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    rows = []

    def line(model, attack, who, found):
        l2 = "" if found["l2"] is None else f"{found['l2']:.3f}"
        said = ", ".join(found.get("doubts", []))
        rows.append([model, attack, who, found["turned"], f"{found['each']:.0f}", l2, f"{found['seconds']:.3f}", said])
        print(rows[-1], flush=True)

    def other(tool, model, attack):
        command = [sys.executable, "-B", str(pathlib.Path(__file__).resolve()), str(work), tool, model, attack]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            rows.append([model, attack, tool, f"failed: {last}"[:80], "", "", "", ""])
        else:
            line(model, attack, tool, json.loads(done.stdout.splitlines()[-1]))

    peers = [("art", "fgsm"), ("foolbox", "fgsm"), ("art", "pgd"), ("foolbox", "pgd"), ("art", "square")]
    for model in ("cnn_std",) if quick else tuple(EPSILON):
        epsilon = {"epsilon": EPSILON[model]}
        linf = {"norm": "linf", **epsilon}
        for attack, settings in (("fgsm", linf), ("bim", {**linf, "steps": 40}), ("apgd", linf), ("square", epsilon), ("ensemble", linf)):
            line(model, attack, "mantlet", ours(mantlet, work / model, f"evasion-{attack}", ROWS, settings))
        for tool, attack in peers:
            other(tool, model, attack)
    for attack, settings, count in (("ddn", {}, ROWS), ("hop-skip-jump", {"queries": 1800}, 10), ("hop-skip-jump", {"queries": 6500}, 10), ("boundary", {"queries": 5000}, 10), ("geoda", {"queries": 1800}, 10)):
        line("cnn_std", attack, "mantlet", ours(mantlet, work / "cnn_std", f"evasion-{attack}", count, settings))
    other("foolbox", "cnn_std", "ddn")
    other("art", "cnn_std", "hop-skip-jump")
    rules = work / "rules.json"
    for model, attack, settings, count in (
        ("mlp", "table-climb", {"norm": "linf", "epsilon": 0.1}, 150),
        ("gbdt", "table-search", {"norm": "l2"}, 20),
        ("gbdt", "tree-exact", {"radius": 0.1}, 20),
    ):
        line(model, attack, "mantlet", ours(mantlet, work / model, f"evasion-{attack}", count, settings, rules))
    return rows


if __name__ == "__main__":
    peer(pathlib.Path(sys.argv[1]), *sys.argv[2:5])
