"""Generates the rows of the effect table that say which library functions act on the machine.

    python effects.py --out FILE [--check] SITE-PACKAGES...

`cargo xtask effects` calls it with the libraries of requirements.txt. Reads sources, imports nothing; with --check it
writes nothing and says whether FILE is what the sources give. Libraries that are not there are left as they are in FILE. A function or class gets a row when it calls something that runs code, touches
files or the network or loads another pickle: directly, or through functions of its own module, up to four
calls deep. For a class of a library only what unpickling runs counts: `__new__`, `__setstate__`; constructors are rows
of the reviewed table. Of the standard library every method counts, since a pickle reaches it by a dotted name. Rows only ever make the table stricter: a name the reviewed table
judges by an exact row keeps that judgement. Review the difference before committing it.
"""

import argparse
import ast
import hashlib
import platform
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

# Folder -> distribution.
LIBRARIES = {
    "numpy": "numpy", "scipy": "scipy", "pandas": "pandas", "sklearn": "scikit-learn", "joblib": "joblib", "torch": "torch",
    "xgboost": "xgboost", "lightgbm": "lightgbm", "catboost": "catboost", "transformers": "transformers",
    "statsmodels": "statsmodels", "keras": "keras", "tensorflow": "tensorflow-cpu", "networkx": "networkx", "gensim": "gensim",
    "nltk": "nltk", "skops": "skops", "timm": "timm", "imblearn": "imbalanced-learn", "category_encoders": "category_encoders",
    "hmmlearn": "hmmlearn", "tokenizers": "tokenizers", "safetensors": "safetensors", "polars": "polars", "mlxtend": "mlxtend",
}
STANDARD = "python"
# Not code that a pickle could name, or code of another distribution.
OUTSIDE = {"site-packages", "dist-packages", "__pycache__", "idle_test", "test", "tests", "lib-dynload", "config"}

CALLS = {
    "exec": {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv", "os.posix_spawn",
             "runpy.run_path", "runpy.run_module", "ctypes.CDLL", "ctypes.cdll.LoadLibrary", "importlib.util.spec_from_file_location",
             "types.FunctionType", "types.CodeType", "marshal.loads", "code.interact", "webbrowser.open"},
    "net": {"urllib.request.urlopen", "urllib.request.urlretrieve", "urlopen", "urlretrieve", "requests.get", "requests.post",
            "socket.socket", "socket.create_connection", "http.client.HTTPConnection", "hf_hub_download", "snapshot_download"},
    "write": {"os.makedirs", "os.mkdir", "os.remove", "os.unlink", "os.rename", "os.replace", "os.rmdir", "os.chmod", "os.symlink",
              "shutil.rmtree", "shutil.copy", "shutil.copyfile", "shutil.copytree", "shutil.move", "tempfile.mkdtemp",
              "tempfile.NamedTemporaryFile", "tempfile.mkstemp"},
    "decode": {"pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "dill.load", "dill.loads", "cloudpickle.load",
               "cloudpickle.loads", "torch.load", "yaml.load", "yaml.unsafe_load", "shelve.open"},
}
PREFIXES = {"subprocess.": "exec", "requests.": "net"}
RANK = ["exec", "write", "net", "decode"]
EFFECTS = {call: effect for effect, calls in CALLS.items() for call in calls}
DEPTH = 4


def dotted(node):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


class Module:
    """One source file: what each function calls."""

    def __init__(self, tree):
        self.aliases, self.calls = {}, {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.aliases[alias.asname or alias.name.split(".")[0]] = alias.name if alias.asname else alias.name.split(".")[0]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self.aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        self.scope(tree.body, "")

    def scope(self, body, prefix):
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.calls[prefix + node.name] = [self.target(call) for call in ast.walk(node) if isinstance(call, ast.Call)]
            elif isinstance(node, ast.ClassDef):
                self.scope(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, (ast.If, ast.Try)):
                self.scope(node.body + node.orelse, prefix)

    def target(self, call):
        name = dotted(call.func)
        head, _, rest = name.partition(".")
        # A compiled pattern and a method of that name are no builtins.
        full = self.aliases.get(head, head) + (f".{rest}" if rest else "")
        if full == "open" or full.endswith("io.open"):
            mode = call.args[1] if len(call.args) > 1 else next((k.value for k in call.keywords if k.arg == "mode"), None)
            writes = isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax+")
            return "!write" if writes else ""
        return full

    def effect(self, function, depth=DEPTH, seen=()):
        found = set()
        for call in self.calls.get(function, ()):
            direct = "write" if call == "!write" else EFFECTS.get(call) or next((e for p, e in PREFIXES.items() if call.startswith(p)), None)
            # `compile` of the module's own is not the built-in one.
            if direct and call not in self.calls:
                found.add(direct)
            elif depth and call in self.calls and call not in seen:
                inner = self.effect(call, depth - 1, (*seen, call))
                found |= {inner} if inner else set()
        return next((effect for effect in RANK if effect in found), None)


def sources(root, library):
    """Path and module name of each source of a library, or of the standard library."""
    for path in sorted(root.rglob("*.py") if library == STANDARD else (root / library).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if library == STANDARD:
            skipped = any(part in OUTSIDE or part.startswith("config-") for part in parts[:-1]) and parts[:2] != ("test", "support")
        else:
            skipped = any(part in ("tests", "test", "conftest", "benchmarks", "examples") or part.startswith("test_") for part in parts)
        if not skipped:
            yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rows(root, library):
    """The rows of a library."""
    for path, name in sources(root, library):
        try:
            module = Module(ast.parse(path.read_text(errors="replace")))
        except (SyntaxError, ValueError, RecursionError):
            continue
        grouped = {}
        for function in module.calls:
            owner, _, method = function.rpartition(".")
            if owner and library != STANDARD and method not in ("__new__", "__setstate__", "append", "extend", "__setitem__"):
                continue
            effect = module.effect(function)
            if not effect:
                continue
            if owner and method in ("__new__", "__init__", "__setstate__"):
                grouped.setdefault(effect, set()).add(owner)
            elif not owner or library == STANDARD:
                grouped.setdefault(effect, set()).add(function)
            else:
                grouped.setdefault(effect, set()).add(owner)
        for effect in RANK:
            if grouped.get(effect):
                yield f"{name} {effect} {' '.join(sorted(grouped[effect]))}"


def sections(text):
    """Heading -> rows of a generated table."""
    found, heading = {}, None
    for line in text.splitlines()[1:]:
        if line.startswith("# from "):
            continue
        if line.startswith("# "):
            heading = line.split()[1]
            found[heading] = [line]
        elif heading:
            found[heading].append(line)
    return found


def generate(roots, old):
    """The table, with the sections of absent libraries as they were."""
    kept = sections(old)
    made, version = {}, platform.python_version()
    known = kept.get(STANDARD, [f"# {STANDARD} {version}"])[0].split()[2]
    # The standard library differs from minor version to minor version.
    if known.split(".")[:2] == version.split(".")[:2]:
        made[STANDARD] = [f"# {STANDARD} {known}", *rows(Path(sysconfig.get_paths()["stdlib"]), STANDARD)]
    else:
        print(f"{STANDARD} {version} is running, the table is of {known}; its rows stay as they are", file=sys.stderr)
    for library, distribution in LIBRARIES.items():
        for root in roots:
            if not (root / library).is_dir():
                continue
            version = next((d.version for d in metadata.Distribution.discover(name=distribution, path=[str(root)])), "unknown")
            made[library] = [f"# {library} {version}", *rows(root, library)]
            break
        else:
            print(f"{library}: not there; its rows stay as they are", file=sys.stderr)
    heading = "# Generated by scripts/effects/effects.py from library sources; reviewed. Do not edit by hand."
    # A test compares these: whoever changes what the rows are made from has to make them again.
    here = Path(__file__).parent
    sources = [f"# from {name} sha256:{hashlib.sha256((here / name).read_bytes()).hexdigest()}" for name in ("effects.py", "requirements.txt")]
    order = [STANDARD, *LIBRARIES, *(name for name in kept if name not in LIBRARIES and name != STANDARD)]
    return "\n".join([heading, *sources, *(line for name in order for line in made.get(name, kept.get(name, [])))]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    old = options.out.read_text() if options.out.exists() else ""
    new = generate(options.roots, old)
    if not options.check:
        options.out.write_text(new)
        return
    before, after = set(old.splitlines()), set(new.splitlines())
    for sign, lines in (("-", before - after), ("+", after - before)):
        for line in sorted(lines)[:20]:
            print(sign, line[:160])
    if old != new:
        sys.exit(f"{options.out} is not what the sources give; run `cargo xtask effects` and review the difference")


if __name__ == "__main__":
    main()
