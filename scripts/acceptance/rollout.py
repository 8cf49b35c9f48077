"""A rollout over several gateways and the one worker that judges it: what each of them sees goes to the worker over NATS."""

import json
import shutil
import time

from harness import check


def curated(command, folder, text, audit):
    """Two versions on record in the replicas' database, the first before users; the password of ada, who did so."""
    folder.mkdir()
    (folder / "mantlet.toml").write_text(text)
    (folder / "model.txt").write_text("served elsewhere\n")
    shutil.copytree(audit, folder / ".mantlet" / "audit")
    password = command("users", "add", "ada", folder, "--role", "admin").stdout.split()[-1]

    def registry(*words):
        done = command("registry", *words, folder, "--user", "ada", "--note", "a test", "--password-stdin", stdin=password + "\n")
        check(f"registry {' '.join(words[:2])}", done.returncode == 0, done.stderr[-600:])

    for version, words in (("v1", "served elsewhere\n"), ("v2", "served elsewhere, and worse\n")):
        (folder / "model.txt").write_text(words)
        named = text.replace('name = "sums"', f'name = "sums"\nversion = "{version}"')
        (folder / "mantlet.toml").write_text(named)
        done = command("protect", folder, "--format", "json")
        check(f"{version} is taken in", done.returncode <= 2, done.stderr[-600:])
        registry("admit", version)
        if version == "v1":
            registry("promote", version)
    (folder / "mantlet.toml").write_text(text)
    return password, registry


def trusts(replica, curator):
    """What was signed where versions are taken in counts here, too."""
    keys = replica / ".mantlet" / "keys" / "trusted"
    keys.mkdir(parents=True, exist_ok=True)
    shutil.copy(curator / ".mantlet" / "keys" / "signing.pub", keys / "curator.pub")


def rolls_back(command, registry, gateways, curator, wait):
    """A version that errs is taken back from every gateway by what all of them saw."""
    made = [command("keys", "add", f"caller {number}", curator).stdout for number in range(12)]
    keys = [next(word for word in said.split() if word.startswith("mk_")) for said in made]
    everywhere = lambda: [replica.once(key)[0] for replica in gateways for key in keys]
    wait("every caller is known to every gateway, and nobody has the candidate", lambda: set(everywhere()) == {200})
    statuses = lambda: [replica.status()["routes"][0] for replica in gateways]
    check("the version on record is the one that answers", all(route["chosen_version"] == "v1" for route in statuses()), statuses())
    registry("rollout", "start", "v2", "--steps", "50", "--samples", "100000", "--step-seconds", "1")
    wait("every gateway has begun", lambda: all((route["rollout"] or {}).get("candidate") == "v2" for route in statuses()))
    begun, erred = time.monotonic(), [0] * len(gateways)

    def taken_back():
        for number, replica in enumerate(gateways):
            erred[number] += sum(replica.once(key)[0] == 500 for key in keys)
        return all(route["rollout"] is None for route in statuses())

    wait("a version that errs is taken back everywhere", taken_back)
    print(f"     after {time.monotonic() - begun:.1f} s and {sum(erred)} errors, on the gateways {erred}")
    after = [set(everywhere()) for _ in range(3)]
    # On a busy machine a limit may be counted too late, which is 503 and says nothing of a version.
    check("and nobody has the one that errs", not any(500 in seen for seen in after), after)
    wait("everybody has the version before", lambda: set(everywhere()) == {200})
    check("which is the one on record", all(route["chosen_version"] == "v1" for route in statuses()), statuses())
    said = json.loads(command("registry", "rollout", "status", curator, "--json").stdout)
    check("so says the record, with the route", (said["phase"]["phase"], said.get("route")) == ("rolled-back", "sums"), (said["phase"], said.get("route")))
    entries = command("audit", "show", curator, "--last", 10_000).stdout.count("rollout-rolled-back")
    check("once on the audit log", entries == 1, entries)
