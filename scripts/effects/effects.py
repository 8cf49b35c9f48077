"""Generates the rows of the effect table that say which library functions act on the machine.

    python effects.py SITE-PACKAGES LIBRARY... > crates/mantlet-formats/src/pickle/effects-generated.txt

Reads sources, imports nothing. A function or class gets a row when it calls something that runs code, touches
files or the network or loads another pickle: directly, or through functions of its own module, up to four
calls deep. For a class only what unpickling runs counts: `__new__`, `__setstate__`, `__reduce__`-made
constructors are rows of the reviewed table. Rows only ever make the table stricter: a name the reviewed table
judges by an exact row keeps that judgement. Review the difference before committing it.
"""

import ast
import sys
from importlib import metadata
from pathlib import Path

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
            if direct:
                found.add(direct)
            elif depth and call in self.calls and call not in seen:
                inner = self.effect(call, depth - 1, (*seen, call))
                found |= {inner} if inner else set()
        return next((effect for effect in RANK if effect in found), None)


def rows(root, library):
    for path in sorted((root / library).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if any(part in ("tests", "test", "testing", "conftest", "benchmarks", "examples") or part.startswith("test_") for part in parts):
            continue
        try:
            module = Module(ast.parse(path.read_text(errors="replace")))
        except (SyntaxError, ValueError, RecursionError):
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        grouped = {}
        for function in module.calls:
            owner, _, method = function.rpartition(".")
            if owner and method not in ("__new__", "__setstate__", "append", "extend", "__setitem__"):
                continue
            effect = module.effect(function)
            if effect:
                grouped.setdefault(effect, set()).add(owner or function)
        for effect in RANK:
            if grouped.get(effect):
                yield f"{name} {effect} {' '.join(sorted(grouped[effect]))}"


def main():
    root, libraries = Path(sys.argv[1]), sys.argv[2:]
    print("# Generated by scripts/effects/effects.py from library sources; reviewed. Do not edit by hand.")
    for library in libraries:
        names = {"sklearn": "scikit-learn"}
        try:
            version = metadata.Distribution.discover(name=names.get(library, library), path=[str(root)])
            version = next(iter(version)).version
        except StopIteration:
            version = "unknown"
        print(f"# {library} {version}")
        for row in rows(root, library):
            print(row)


if __name__ == "__main__":
    main()
