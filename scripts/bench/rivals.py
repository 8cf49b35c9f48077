"""Peers beside mantlet where the other parts have none: smallest changes by gradients (Foolbox), rows of boosted trees
behind an endpoint, copies and membership (the Adversarial Robustness Toolbox), each on the same rows and models.

A part of `cargo xtask bench attack`; alone with `--part rivals`."""

import json
import os
import pathlib
import pickle
import subprocess
import sys
import time

import bars
import battery
import membership
from measure import append

ROWS, TREES = 100, 10


def smallest(work, name):
    """One of Foolbox's attacks that look for the smallest change, on the digits' CNN."""
    import foolbox
    import numpy as np
    import torch

    model = battery.network(torch)
    model.load_state_dict(torch.load(work / "cnn_std.weights"))
    model.eval()
    data = np.load(work / "digits.npz")
    right = model(torch.tensor(data["x"])).argmax(1).numpy() == data["y"]
    x, y = torch.tensor(data["x"][right]), torch.tensor(data["y"][right])
    made = {
        "carlini-wagner": foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=5, steps=200),
        "ddn": foolbox.attacks.DDNAttack(steps=100),
        "fmn": foolbox.attacks.L2FMNAttack(steps=100),
        "elastic-net": foolbox.attacks.EADAttack(binary_search_steps=5, steps=200),
        "deep-fool": foolbox.attacks.L2DeepFoolAttack(),
    }[name]
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    start = time.process_time()
    _, moved, won = made(wrapped, x, y, epsilons=None)
    seconds = time.process_time() - start
    far = (moved - x).reshape(len(x), -1)
    norm = far.abs().sum(1) if name == "elastic-net" else far.norm(dim=1)
    return {"n": len(y), "hits": int(won.sum()), "distance": float(norm[won].median()), "each": None, "seconds": seconds}


def trees(work, name):
    """One of ART's attacks on boosted trees that answer labels or shares; how many of its rows obey the ten rules."""
    import numpy as np
    from art.attacks import evasion
    from art.estimators.classification import BlackBoxClassifier

    model = pickle.loads((work / "gbdt.pickle").read_bytes())
    data = np.load(work / "cancer.npz")
    right = model.predict(data["x"]) == data["y"]
    x, y = data["x"][right][:TREES], data["y"][right][:TREES]
    asked = 0

    def answer(rows):
        nonlocal asked
        asked += len(rows)
        return model.predict_proba(np.asarray(rows, np.float32))

    wrapped = BlackBoxClassifier(answer, input_shape=(30,), nb_classes=2, clip_values=(0.0, 1.0))
    made = {
        "hop-skip-jump": lambda: evasion.HopSkipJump(wrapped, norm=2, max_iter=10, max_eval=1000, init_eval=100, verbose=False),
        "zoo": lambda: evasion.ZooAttack(wrapped, max_iter=40, binary_search_steps=3, nb_parallel=30, use_resize=False, use_importance=False, batch_size=1, verbose=False),
    }[name]()
    np.random.seed(0)
    start, asked = time.process_time(), 0
    moved = made.generate(x.copy(), np.eye(2)[y])
    seconds, questions = time.process_time() - start, asked
    won = model.predict(moved) != y
    values = moved * (data["high"] - data["low"]) + data["low"]
    obeys = (values[:, :10] <= values[:, 20:30] * 1.001 + 1e-6).all(1)
    far = np.linalg.norm(moved - x, axis=1)
    return {"n": len(y), "hits": int(won.sum()), "valid": int((won & obeys).sum()), "distance": float(np.median(far[won])) if won.any() else None, "each": questions / len(y), "seconds": seconds}


def copied(_, budget):
    """ART's KnockoffNets with labels only from 60 pictures, mixed and shifted, of a CNN on 700 digits."""
    import numpy as np
    import torch
    from art.attacks.extraction import KnockoffNets
    from art.estimators.classification import PyTorchClassifier
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    x = (digits.data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    train_x, test_x, train_y, _ = train_test_split(x, digits.target, test_size=500, random_state=0, stratify=digits.target)
    torch.manual_seed(1)
    victim = battery.fit(torch, battery.network(torch), torch.tensor(train_x[:700]), torch.tensor(train_y[:700]), 30)
    source, seeds = np.random.RandomState(0), train_x[700:760]
    pool = []
    for _ in range(2000):
        first, second, share = source.randint(60), source.randint(60), source.rand()
        mixed = share * seeds[first, 0] + (1 - share) * seeds[second, 0]
        pool.append(np.roll(mixed, source.randint(-1, 2, 2), (0, 1))[None])
    wrap = lambda net: PyTorchClassifier(net, torch.nn.CrossEntropyLoss(), optimizer=torch.optim.Adam(net.parameters(), 1e-3), input_shape=(1, 8, 8), nb_classes=10, clip_values=(0, 1), device_type="cpu")
    torch.manual_seed(2)
    start = time.process_time()
    attack = KnockoffNets(wrap(victim), batch_size_fit=64, batch_size_query=256, nb_epochs=50, nb_stolen=int(budget), sampling_strategy="random", use_probability=False, verbose=False)
    thief = attack.extract(np.stack(pool).astype(np.float32), thieved_classifier=wrap(battery.network(torch)))
    seconds = time.process_time() - start
    truth = victim(torch.tensor(test_x)).argmax(1).numpy()
    return {"n": 500, "agreed": float((thief.predict(test_x).argmax(1) == truth).mean()), "seconds": seconds}


def members(work, model):
    """ART's attack model on shares and losses, half of the rows known to it."""
    import numpy as np
    from art.attacks.inference.membership_inference import MembershipInferenceBlackBox
    from art.estimators.classification import BlackBoxClassifier
    from sklearn.metrics import roc_auc_score, roc_curve

    read = lambda part: np.loadtxt(work / model / f"{part}.csv", delimiter=",", skiprows=1, dtype=np.float32)
    inside, outside = read("train"), read("test")
    x, y = np.vstack([inside, outside])[:, :-1], np.concatenate([inside[:, -1], outside[:, -1]]).astype(int)
    member = np.arange(len(x)) < len(inside)
    trained = pickle.loads((work / model / "model.pickle").read_bytes())
    wrapped = BlackBoxClassifier(lambda rows: trained.predict_proba(np.asarray(rows, np.float32)), input_shape=x.shape[1:], nb_classes=2)
    known = np.zeros(len(x), bool)
    for side in (member, ~member):
        places = np.flatnonzero(side)
        known[places[: len(places) // 2]] = True
    start = time.process_time()
    attack = MembershipInferenceBlackBox(wrapped, attack_model_type="rf")
    attack.fit(x[known & member], y[known & member], x[known & ~member], y[known & ~member])
    scores = attack.infer(x[~known], y[~known], probabilities=True).reshape(-1)
    seconds = time.process_time() - start
    fpr, tpr, _ = roc_curve(member[~known], scores)
    return {"n": int((~known).sum()), "auc": float(roc_auc_score(member[~known], scores)), "at": float(tpr[fpr <= 0.01].max()), "seconds": seconds}


PEERS = {"smallest": smallest, "trees": trees, "copied": copied, "members": members}


def run(options, work):
    battery.prepare(work, options.mantlet)
    rows, environment = [], {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

    def line(*row):
        rows.append(list(row))
        print(rows[-1], flush=True)

    def peer(kind, name):
        command = [sys.executable, "-B", str(pathlib.Path(__file__).resolve()), kind, str(work), str(name)]
        try:
            done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return None, "not done within 300 s"
        if done.returncode:
            return None, f"failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}"[:90]
        return json.loads(done.stdout.splitlines()[-1]), ""

    for name in ("carlini-wagner", "ddn", "fmn", "elastic-net", "deep-fool"):
        settings = {"radius": 100} | ({"norm": "l2"} if name in ("fmn", "deep-fool") else {})
        report, seconds = battery.reported(options.mantlet, work / "cnn_std", f"evasion-{name}", settings, ROWS)
        norm = "l1" if name == "elastic-net" else "l2"
        far = sorted(row["distances"][norm] for row in report["outcome"]["rows"] if row["state"] == "hit")
        line(f"smallest change of digits, {name}", "mantlet, whole process", f"{len(far)} of {report['n']}", f"{norm.upper()} {far[len(far) // 2]:.3f}" if far else "", "", f"{seconds:.2f}")
        said, why = peer("smallest", name)
        line(f"smallest change of digits, {name}", "Foolbox", *((f"{said['hits']} of {said['n']}", f"{norm.upper()} {said['distance']:.3f}", "", f"{said['seconds']:.2f}") if said else (why, "", "", "")))
    rules = work / "rules.json"
    for what, settings in (("labels", {"norm": "l2", "trees": False, "scores": False}), ("scores", {"norm": "l2", "trees": False})):
        found = bars.measured(options.mantlet, work / "gbdt", "evasion-table-search", TREES, settings, rules)
        line(f"rows of boosted trees, {what} alone", "mantlet table-search", f"{found['turned']:.0%} of {found['n']}, all obey", f"L2 {found['l2']:.3f}", f"{found['each']:.0f}", f"{found['seconds']:.2f}")
    for name in ("hop-skip-jump",) if options.quick else ("hop-skip-jump", "zoo"):
        said, why = peer("trees", name)
        line(f"rows of boosted trees, {'labels' if name == 'hop-skip-jump' else 'scores'} alone", f"ART {name}", *((f"{said['hits']} of {said['n']}, {said['valid']} obey", f"L2 {said['distance']:.3f}" if said["distance"] else "", f"{said['each']:.0f}", f"{said['seconds']:.2f}") if said else (why, "", "", "")))
    found = bars.copies(options.mantlet, 4, 1 if options.quick else 3)
    line("copy from 60 pictures, 250 labels", "mantlet extraction-active, seeds 4 to 6", f"{sorted(found)[len(found) // 2]:.3f} [{min(found):.3f}, {max(found):.3f}] agreed", "", "250", "")
    for budget in (250,) if options.quick else (250, 1000):
        said, why = peer("copied", budget)
        line(f"copy from 60 pictures, {budget} labels", "ART KnockoffNets, the same mixing", f"{said['agreed']:.3f} agreed on {said['n']}" if said else why, "", budget, f"{said['seconds']:.2f}" if said else "")
    for model in membership.prepare(work):
        said, why = peer("members", model)
        line(f"members of {model} (1,000 and 1,000)", "ART, attack model (forest), half of the rows known to it", f"area {said['auc']:.3f}; {said['at']:.1%} exposed at 1 %" if said else why, "", "1", f"{said['seconds']:.2f}" if said else "")
    note = "Models and rows of the tables on digits, breast cancer and membership of this run, where mantlet's own figures for members stand. CPU s: mantlet the whole process with loading, checks and report, both cores; peers the attack alone, torch imported and model loaded before, one thread. Rows of trees: the first ten that are read right; obeying: mean at most worst in ten pairs of columns. mantlet's copies are of six other victims of the same kind."
    append(options.page, "Attacking", ["what", "who", "figure", "median distance", "rows asked for each", "CPU s"], rows, note)


if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](pathlib.Path(sys.argv[2]), sys.argv[3])))
