//! Programs that reach a function in ways a reader does not see, each beside one that does the same harmlessly.

use super::super::{Power, Role, Script, analyse};

fn script(text: &str) -> Script {
    analyse(text, Role::Module)
}

/// The command `id` is run while the module is imported.
fn runs(text: &str) -> bool {
    script(text).calls.iter().any(|call| {
        call.power == Power::Runs
            && call.at_import
            && call.arguments.iter().any(|argument| argument.text.as_deref() == Some("id"))
    })
}

fn acts(text: &str) -> bool {
    script(text).calls.iter().any(|call| matches!(call.power, Power::Runs | Power::Evaluates))
}

#[test]
fn hooks_of_the_language_are_calls() {
    for body in [
        "class A:\n    def __set_name__(self, owner, name):\n        os.system('id')\nclass B:\n    x = A()\n",
        "class R(dict):\n    def __missing__(self, key):\n        return os.system(key)\nR()['id']\n",
        "class T:\n    def __matmul__(self, other):\n        return os.system('i' + other.v)\n    def __init__(self, v):\n        self.v = v\nT('x') @ T('d')\n",
        "class C:\n    def __del__(self, run=os.system):\n        run('id')\nC()\n",
        "class P:\n    @property\n    def x(self):\n        return os.system('id')\nP().x\n",
        "class D:\n    def __get__(self, a, b):\n        return os.system('id')\nclass E:\n    f = D()\nE().f\n",
        "class I:\n    def __iter__(self):\n        yield os.system('id')\nlist(I())\n",
        "class F:\n    def __format__(self, spec):\n        os.system('id')\n        return ''\nf'{F()}'\n",
        "class B:\n    def __bool__(self):\n        return os.system('id') == 0\nif B():\n    pass\n",
        "class M(type):\n    def __call__(cls, *a):\n        os.system('id')\nclass N(metaclass=M):\n    pass\nN()\n",
        "def g():\n    while True:\n        c = yield\n        os.system(c)\nw = g()\nnext(w)\nw.send('id')\n",
        "match ('run', 'id'):\n    case ('run', c):\n        os.system(c)\n",
        "import copy\nclass W:\n    def __reduce__(self):\n        return os.system, ('id',)\ncopy.copy(W())\n",
    ] {
        assert!(runs(&format!("import os\n{body}")), "{body}");
        let quiet = body.replace("os.system", "str");
        assert!(!acts(&quiet), "{quiet}");
    }
}

#[test]
fn functions_that_are_handed_over_are_called() {
    for body in [
        "rows = ['id']\nrows.sort(key=os.system)\n",
        "import logging\nclass H(logging.Handler):\n    def emit(self, record):\n        os.system('id')\nlogging.getLogger().addHandler(H())\n",
        "from html.parser import HTMLParser\nclass P(HTMLParser):\n    def handle_data(self, data):\n        os.system('id')\nP().feed('x')\n",
        "def hook(event, args):\n    os.system('id')\nimport sys\nsys.addaudithook(hook)\n",
        "import contextlib\nwith contextlib.ExitStack() as s:\n    s.callback(lambda: os.system('id'))\n",
        "import functools\nfunctools.reduce(getattr, 'path.os.system'.split('.'), os)('id')\n",
        "import operator\noperator.methodcaller('system', 'id')(os)\n",
        "import string\nstring.capwords = os.system\nfrom string import capwords\ncapwords('id')\n",
        "class O:\n    def __init__(self):\n        self.t = {'a': len, 'b': os.system}\n    def go(self, n, v):\n        f = self.t[n]\n        return f(v)\nO().go('b', 'id')\n",
        "def back():\n    return os.system\ndef each(f, *values):\n    return [f(v) for v in values]\neach(back(), 'id')\n",
    ] {
        assert!(
            runs(&format!("import os\n{body}")),
            "{body}: {:?}",
            script(&format!("import os\n{body}")).calls
        );
        let quiet = body
            .replace("os.system", "len")
            .replace("'system'", "'getcwd'")
            .replace("os.system", "os.getcwd");
        assert!(!runs(&format!("import os\n{quiet}")), "{quiet}");
    }
}

#[test]
fn names_and_code_are_computed() {
    for text in [
        "import os\nt = str.maketrans('abc', 'xyz')\ngetattr(os, 'sbstem'.translate({98: 'y'}))('id')\n",
        "import os\nn = ''\nfor c in 'tztufn':\n    n += chr(ord(c) - 1)\ngetattr(os, n)('id')\n",
        "import os\nn = ''.join(chr(x ^ 1) for x in [114, 120, 114, 117, 100, 108])\ngetattr(os, n)('id')\n",
        "import shutil\nshutil.os.system('id')\n",
        "import sys\nsys.modules['po' + 'six'].system('id')\n",
        "import os\n'{0.system}'.format(os)\n(lambda: os)().system('id')\n",
        "def f(): pass\nf.__globals__['__builtins__']['eval'](\"__import__('os').system('id')\")\n",
        "import os\nwhile True:\n    os.system('id')\n    break\n",
        "exec('import o' + 's\\nos.system(\"id\")')\n",
        "import os\nd = dict(a=os.system)\nfor k, v in d.items():\n    v('id')\n",
        "import json, os\ngetattr(os, json.loads('\"\\\\u0073ystem\"'))('id')\n",
    ] {
        assert!(runs(text), "{text}: {:?}", script(text).calls);
    }
    for text in [
        "for c in object.__subclasses__():\n    if c.__name__ == '_wrap_close':\n        c.__init__.__globals__['system']('id')\n",
        "import sys\nd = {k: v for k, v in sys._getframe().f_builtins.items()}\nd['exec']('x = 1')\n",
        "def f(): pass\nf.__code__ = compile(\"__import__('os').system('id')\", 'm', 'exec')\nf()\n",
        "import ast\nexec(compile(ast.Module([ast.Expr(ast.Call(ast.Name('open'), [], []))], []), 'm', 'exec'))\n",
    ] {
        assert!(script(text).calls.iter().any(|call| call.assembled), "{text}: {:?}", script(text).calls);
    }
}

/// Importing the module runs the command, or may.
fn may_run(text: &str) -> bool {
    script(text)
        .calls
        .iter()
        .any(|call| call.power == Power::Runs && (call.at_import || call.reached || call.assembled))
}

#[test]
fn what_python_may_call_is_found_however_it_is_reached() {
    for body in [
        "class A:\n    def __length_hint__(self):\n        return os.system('id')\nimport operator\noperator.length_hint(A())\n",
        "class A:\n    @property\n    def x(self):\n        return 1\n    @x.setter\n    def x(self, v):\n        os.system(v)\n",
        "class A:\n    def __delitem__(self, k):\n        os.system(k)\ndel A()['id']\n",
        "class A:\n    def go(self):\n        os.system('id')\nfor n in dir(A):\n    getattr(A(), n)\n",
        "import cmd\nclass S(cmd.Cmd):\n    def do_x(self, line):\n        os.system(line)\nS().onecmd('x id')\n",
        "def run():\n    os.system('id')\nTABLE = (('a', run),)\nfor _, f in some(TABLE):\n    f.__call__()\n",
        "@app.task\ndef job():\n    os.system('id')\n",
        "def run():\n    os.system('id')\nglobals()['r' + word()]()\n",
        "def run(self, name):\n    os.system(name)\nA = type('A', (), {'__getattr__': run})\n",
        "def run(self, name):\n    os.system(name)\nclass A:\n    pass\nA.__getattr__ = run\n",
        "import pool\npool.call(lambda: os.system('id'))\n",
        "import pool\npool.call(target=os.system)\n",
        "def go(f=os.system):\n    pass\n",
        "class Net(Base):\n    def __init__(self, config):\n        os.system('id')\n",
        "if later() and False:\n    os.system('id')\n",
        "def f():\n    return 1\n    os.system('id')\nf()\n",
    ] {
        let text = format!("import os\n{body}");
        assert!(may_run(&text), "{body}: {:?}", script(&text).calls);
        let quiet = text.replace("os.system", "os.stat");
        assert!(!may_run(&quiet) && script(&quiet).limits.is_empty(), "{quiet}: {:?}", script(&quiet));
    }
    for text in [
        "import subprocess\ndef export(path):\n    subprocess.run(['onnxsim', path])\n",
        "import subprocess\nclass Tool:\n    def export(self, path):\n        subprocess.run(['onnxsim', path])\nTOOL = Tool()\n",
        "import subprocess\nclass Net(Base):\n    def export(self, path):\n        subprocess.run(['onnxsim', path])\n__all__ = ['Net']\n",
        "import subprocess\ndef main():\n    subprocess.run(['onnxsim', 'a'])\nif __name__ == '__main__':\n    main()\n",
        "import types\nFUNCTIONS = (types.FunctionType, types.MethodType)\ndef is_one(x):\n    return isinstance(x, FUNCTIONS)\n",
        "import os\ndef same(f):\n    return f is os.system\nsame(len)\n",
    ] {
        assert!(!may_run(text), "{text}: {:?}", script(text).calls);
    }
    // Whoever serves a model fetches what he is asked about.
    let handler = "import requests\nclass Handler:\n    def __call__(self, data):\n        return requests.get(data['url']).content\n";
    assert!(script(handler).calls.iter().all(|call| !call.reached && !call.at_import));
    let init = handler.replace("__call__(self, data)", "__init__(self, data)");
    assert!(script(&init).calls.iter().any(|call| call.reached));
    // A program may run commands; not where nobody sees a call.
    let program = |text: &str| analyse(text, Role::Script).calls.iter().any(|call| call.assembled);
    assert!(program("import os\nclass A:\n    def __hash__(self):\n        return os.system('id')\n"));
    assert!(program("import os\nschedule(lambda: os.system('id'))\n"));
    assert!(!program("import os\nsh = os.system\nsh('ls')\n"));
    assert!(!program("import os\nrun = lambda c: os.system(c)\nrun('ls')\n"));
    assert!(!program("import subprocess\ndef main():\n    subprocess.run(['ls'])\nmain()\n"));
}

#[test]
fn code_and_modules_that_are_computed_are_not_fully_examined() {
    for text in [
        "exec(fetch())\n",
        "def f(x):\n    return eval(x + y)\nf(name())\n",
        "import importlib\nimportlib.import_module(name()).go()\n",
    ] {
        assert!(!script(text).limits.is_empty(), "{text}");
    }
    assert!(!acts(
        "import enum, os\nclass Op(enum.Enum):\n    CWD = 'getcwd'\ngetattr(os, Op.CWD.value)()\n"
    ));
    for text in [
        "exec('x = 1')\n",
        "exec(f'from {name} import *')\n",
        "exec(open('version.py').read())\n",
        "exec(compile(open('version.py').read(), 'version.py', 'exec'))\n",
        "import enum, os\nclass Op(enum.Enum):\n    CWD = 'getcwd'\ngetattr(os, Op.CWD.value)()\n",
        "import importlib\ndef __getattr__(name):\n    return importlib.import_module('.' + name, __name__)\n",
        "import importlib\ndef lazy(name):\n    return importlib.import_module(name)\nlazy('json')\n",
    ] {
        assert!(script(text).limits.is_empty(), "{text}: {:?}", script(text).limits);
    }
}

#[test]
fn ordinary_modules_say_nothing() {
    for text in [
        "import torch\nfrom torch import nn\nACT = {'relu': nn.ReLU, 'gelu': nn.GELU}\nclass Net(nn.Module):\n    def __init__(self, c):\n        super().__init__()\n        self.act = ACT[c.act]()\n    def forward(self, x):\n        return self.act(x)\nnet = Net\n",
        "import functools\n@functools.lru_cache(maxsize=None)\ndef f(x):\n    return x * 2\nprint(f(3))\n",
        "import signal, sys\ndef stop(signum, frame):\n    sys.exit(0)\nsignal.signal(signal.SIGINT, stop)\n",
        "class Registry:\n    def __init__(self):\n        self.known = {}\n    def register(self, name):\n        def wrap(cls):\n            self.known[name] = cls\n            return cls\n        return wrap\nR = Registry()\n@R.register('a')\nclass A:\n    pass\nR.known['a']()\n",
        "import numpy as np\nx = [f'{i:03d}' for i in range(10)]\nnames = '_'.join(x)\ngetattr(np, 'float' + str(32))(1)\n",
        "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(30)\n",
    ] {
        let found = script(text);
        assert!(found.limits.is_empty() && !acts(text), "{text}: {found:?}");
    }
}

#[test]
fn nothing_runs_for_ever_or_too_deep() {
    let deep = format!("x = {}1{}\n", "(".repeat(3_000), ")".repeat(3_000));
    let blocks: String = (0..300).map(|depth| format!("{}if x:\n", " ".repeat(depth))).collect();
    let sum = format!("x = {}\n", vec!["'a'"; 50_000].join(" + "));
    let mixed = format!("x = {}\n", "1 + 2 - ".repeat(5_000) + "3");
    let links = format!("x{}\n", ".a()[0]".repeat(5_000));
    let chain = format!("if a:\n  pass\n{}", "elif b:\n  pass\n".repeat(2_000));
    let nested = "exec(\"exec(\\\"exec('exec(1)')\\\")\")\n".to_owned();
    for text in [
        deep,
        blocks,
        sum,
        mixed,
        links,
        chain,
        nested,
        "def f(x): return g(x) + g(x)\ndef g(x): return f(x) + f(x)\nf(1)\n".into(),
        "x = 'a'\nfor i in range(60):\n    x = x + x\n".into(),
        "x = [1]\nfor i in range(60):\n    x = x + x\n".into(),
        "class A:\n    def __getattr__(self, n):\n        return getattr(self, n + 'x')\nA().y\n".into(),
        "class A(A, B): pass\nclass B(A): pass\nB().x\n".into(),
        "while 1:\n    while 1:\n        while 1:\n            x = 1\n".into(),
        "a = [a for a in range(10**9)]\n".into(),
        "x = 'a' * 10**9\ny = 2 ** 2 ** 100\n".into(),
        "lambda: (yield)\n@@@\nclass\ndef f(\nfor in\nwith\n".into(),
        "f'{f\"{f'{1}'}\"}' + f'{' + f'}' + f'{{{'\n".into(),
    ] {
        let started = std::time::Instant::now();
        script(&text);
        assert!(started.elapsed().as_secs() < 30, "{}", &text[..40.min(text.len())]);
    }
}

#[test]
fn a_module_that_computes_without_end_is_not_fully_examined() {
    let found = script("x = 0\nfor a in range(9999):\n    for b in range(9999):\n        x += a * b\n");
    assert!(found.limits.iter().any(|limit| limit.contains("computes longer")), "{:?}", found.limits);
}

proptest::proptest! {
    #[test]
    fn any_text_ends(text in "([a-z(){}\\[\\]:.,=+@*'\"\\n ]|def |class |lambda |for |in |if |yield |import |exec|os\\.system){0,60}") {
        script(&text);
    }
}

#[test]
fn programs_that_numbers_spell_are_read() {
    let spelled = "import array, os\nV = array.array('f', [105.0, 100.0])\n";
    assert!(runs(&format!("{spelled}os.system(bytes(int(v) for v in V).decode())\n")));
    assert!(acts(&format!("{spelled}exec(compile(bytes(int(v) for v in V).decode(), 'x', 'exec'))\n")));
    assert!(!acts(&format!("{spelled}print(bytes(int(v) for v in V).decode())\n")));
}

#[test]
fn what_lies_beside_a_module_under_the_name_of_data_is_data() {
    let beside = |name: &str, run: &str| {
        let text = format!(
            "import pathlib, zlib\nraw = pathlib.Path(__file__).with_name('{name}').read_bytes()\n{run}\n"
        );
        let script = script(&text);
        let code: Vec<_> = script.calls.into_iter().filter(|call| call.power == Power::Evaluates).collect();
        let data = code.iter().any(|call| call.origin().data_file);
        (data, code.iter().any(|call| call.origin().decoded))
    };
    assert_eq!(beside("model.safetensors", "eval(raw[8:])"), (true, false));
    assert_eq!(beside("w.f32", "exec(zlib.decompressobj().decompress(raw[::4]))"), (true, true));
    assert!(!beside("arch.py", "exec(raw)").0);
    assert_eq!(beside("model.safetensors", "print(sum(raw[8:]))"), (false, false));
}
