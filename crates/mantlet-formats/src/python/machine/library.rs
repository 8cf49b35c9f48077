//! What the interpreter's own functions and parts of the standard library compute.
//!
//! Long because what each function computes is told in one place.

use super::super::calls::{self, Power};
use super::super::reader::constant;
use super::super::{Origin, Role};
use super::value::{Arg, Kind, Maker, Shape, Taint, Thing, Value, Wrap};
use super::{MAX_TEXT, Machine, text};
use crate::pickle::{Effect, Effects};

/// Modules whose functions have power, or lead to it.
const POWER_MODULES: [&str; 12] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "builtins",
    "__builtins__",
    "pty",
    "importlib",
    "pickle",
    "ctypes",
    "runpy",
    "code",
];
/// Modules that others have as attributes.
const SHARED: [&str; 13] = [
    "os",
    "sys",
    "posix",
    "subprocess",
    "builtins",
    "importlib",
    "ctypes",
    "pty",
    "shutil",
    "socket",
    "pickle",
    "marshal",
    "runpy",
];

/// The name under which a function is known, whatever module it was reached through.
pub(in crate::python) fn canonical(path: &str) -> String {
    let mut path = path;
    if let Some(rest) = path.strip_prefix("builtins.").or(path.strip_prefix("__builtins__."))
        && rest != "__dict__"
        && !rest.starts_with("__dict__")
    {
        path = rest;
    }
    let parts: Vec<&str> = path.split('.').collect();
    for at in (1..parts.len()).rev() {
        let leads = SHARED.contains(&parts[at]) && parts[..at].iter().all(|part| is_module_name(part));
        if leads
            && !(parts[0] == "asyncio" && parts[at] == "subprocess")
            && !(parts[at] == "builtins" && parts[0] == "os")
        {
            return canonical(&parts[at..].join("."));
        }
    }
    match parts.as_slice() {
        ["posix" | "nt", rest @ ..] if !rest.is_empty() => format!("os.{}", rest.join(".")),
        ["io" | "_io", "open"] => "open".into(),
        ["os", "path", "os", rest @ ..] => format!("os.{}", rest.join(".")),
        _ => path.to_owned(),
    }
}

fn is_module_name(part: &str) -> bool {
    !part.is_empty()
        && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && part != "self"
}

/// The module of this name.
pub(super) fn module(name: &str) -> String {
    match name {
        "posix" | "nt" => "os".into(),
        "__builtin__" | "_builtins" => "builtins".into(),
        _ => name.to_owned(),
    }
}

pub(super) fn is_power_module(path: &str) -> bool {
    POWER_MODULES.contains(&path)
}

pub(super) fn is_builtin(path: &str) -> bool {
    matches!(
        path,
        "len"
            | "print"
            | "abs"
            | "min"
            | "max"
            | "sum"
            | "chr"
            | "ord"
            | "any"
            | "all"
            | "sorted"
            | "open"
            | "iter"
            | "next"
            | "id"
            | "hash"
            | "repr"
            | "round"
            | "input"
    )
}

/// What a function can do; functions that only the table of effects knows run commands too.
pub(super) fn power(path: &str) -> Power {
    let power = calls::power(path);
    // What a connection does goes over the network.
    if power == Power::Computes
        && let Some((base, _)) = path.split_once("().")
        && calls::power(base) == Power::Network
    {
        return Power::Network;
    }
    if matches!(path, "socket.gethostbyname" | "socket.getaddrinfo" | "socket.gethostbyname_ex") {
        return Power::Network;
    }
    if matches!(path, "torch.utils.cpp_extension.load_inline" | "cffi.FFI().verify" | "cffi.FFI().set_source")
    {
        return Power::Evaluates;
    }
    if power != Power::Computes || path.ends_with(')') || path.contains('[') {
        return power;
    }
    const ROOTS: [&str; 15] = [
        "posix",
        "_posixsubprocess",
        "pydoc",
        "pipes",
        "popen2",
        "commands",
        "_osx_support",
        "uuid",
        "_bootsubprocess",
        "idlelib",
        "_xxsubinterpreters",
        "_testcapi",
        "multiprocessing",
        "imp",
        "test",
    ];
    let Some((module, name)) = path.rsplit_once('.') else { return power };
    let root = module.split('.').next().unwrap_or("");
    // Of what shows documentation only the pagers start programs.
    let shows = root == "pydoc" && !name.ends_with("pager");
    if !ROOTS.contains(&root) || shows {
        return power;
    }
    match Effects::default().lookup(module, name).0 {
        Effect::Executes
            if name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                && root != "multiprocessing" =>
        {
            Power::Runs
        }
        _ => power,
    }
}

pub(super) fn is_grave(path: &str) -> bool {
    matches!(power(path), Power::Runs | Power::Evaluates)
}

/// Classes whose objects hold what they are made with under its keys.
pub(super) fn is_mapping(path: &str) -> bool {
    matches!(
        path.rsplit('.').next().unwrap_or(""),
        "dict" | "OrderedDict" | "UserDict" | "defaultdict" | "Dict"
    )
}

/// Functions that are handed functions without calling them.
pub(super) fn is_inert(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or("");
    matches!(
        last,
        "isinstance"
            | "issubclass"
            | "hasattr"
            | "print"
            | "repr"
            | "str"
            | "id"
            | "type"
            | "callable"
            | "wraps"
            | "signature"
            | "getattr"
            | "setattr"
            | "delattr"
            | "update_wrapper"
            | "append"
            | "add"
            | "warn"
            | "info"
            | "debug"
            | "getsource"
            | "isfunction"
            | "isclass"
            | "cast"
            | "patch"
            | "audit"
            | "object"
            | "bool"
            | "hash"
            | "TypeVar"
            | "Union"
            | "Optional"
            | "NewType"
            | "namedtuple"
            | "assertEqual"
            | "assertRaises"
            | "raises"
    )
}

/// Constructors of trees of code.
pub(super) fn builds_code(path: &str) -> bool {
    path.strip_prefix("ast.").is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_uppercase()) || name == "fix_missing_locations"
    })
}

/// A file of data that is put where modules are looked for.
pub(super) fn leads_to_data(path: &str, given: &[Arg]) -> Option<Vec<Arg>> {
    let archive =
        |value: &Value| is_data_file(value) && !value.as_text().is_some_and(|text| text.ends_with(".egg"));
    let leads =
        matches!(path, "sys.path.insert" | "sys.path.append" | "site.addsitedir" | "zipimport.zipimporter");
    (leads && given.iter().any(|(_, value)| archive(value))).then(|| given.to_vec())
}

/// What the names of another module hold under a name.
pub(super) fn global(name: &str) -> Option<String> {
    if name == "__builtins__" {
        return Some("builtins".into());
    }
    if SHARED.contains(&name) || name == "__loader__" {
        return Some(name.to_owned());
    }
    let os = format!("os.{name}");
    if calls::power(&os) != Power::Computes {
        return Some(os);
    }
    (calls::power(name) != Power::Computes || name == "__import__").then(|| name.to_owned())
}

/// What a dotted name stands for.
pub(super) fn origin_of(path: &str) -> Origin {
    constant::origin_of(path)
}

/// What a server's entry point is given comes from whoever asks it.
pub(super) fn parameter(function: &str, name: &str, role: Role) -> Value {
    let entry = ["handle", "preprocess", "inference", "postprocess", "input_fn", "predict_fn", "execute"];
    let asked = role == Role::Module
        && entry.contains(&function)
        && !matches!(name, "self" | "cls" | "context" | "ctx");
    let origin = Origin { input: asked, ..Origin::default() };
    Value::unknown(Taint { origin, ..Taint::default() })
}

/// Whether a file is called like weights, an array or a picture: nothing that anybody runs.
pub(super) fn is_weights_file(value: &Value) -> bool {
    value.as_text().and_then(|name| name.rsplit_once('.')).is_some_and(|(_, ending)| {
        matches!(
            ending,
            "safetensors"
                | "gguf"
                | "ggml"
                | "onnx"
                | "npy"
                | "npz"
                | "h5"
                | "hdf5"
                | "keras"
                | "tflite"
                | "png"
                | "jpg"
                | "jpeg"
                | "bin"
                | "pt"
                | "ckpt"
                | "msgpack"
                | "parquet"
                | "arrow"
                | "wav"
        )
    })
}

/// Whether a constant is the name of a file that is no program's.
pub(super) fn is_data_file(value: &Value) -> bool {
    value.as_text().and_then(|name| name.rsplit_once('.')).is_some_and(|(_, ending)| {
        (1..=12).contains(&ending.len())
            && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !matches!(ending, "py" | "pyc" | "pyw" | "so" | "pyd" | "pyx" | "pth" | "cfg" | "toml")
    })
}

/// Whether a value could be the name of a library that lies somewhere odd: what the system has is asked for by its name.
pub(super) fn names_a_library(value: &Value) -> bool {
    match value.as_text() {
        Some(text) => {
            text.contains(['/', '\\']) && !is_system_library(text) || is_data_file(value) && !is_library(text)
        }
        None => value.taint.origin.network || value.taint.origin.fetched || value.taint.origin.decoded,
    }
}

fn is_system_library(path: &str) -> bool {
    ["/usr/", "/lib/", "/lib64/", "/opt/", "/System/", "/Library/", "C:\\Windows", "/proc/self/exe"]
        .iter()
        .any(|start| path.starts_with(start))
}

fn is_library(path: &str) -> bool {
    [".dll", ".dylib", ".drv", ".ocx"].iter().any(|end| path.ends_with(end)) || path.contains(".so.")
}

/// Functions by which a page or a server is handed what it calls when it is asked.
pub(super) fn is_page(path: &str) -> bool {
    const PAGES: [&str; 6] = [
        "gradio.Interface",
        "gradio.ChatInterface",
        "gr.Interface",
        "gr.ChatInterface",
        "panel.bind",
        "pn.bind",
    ];
    let last = path.rsplit('.').next().unwrap_or("");
    PAGES.contains(&path)
        || matches!(last, "add_url_rule" | "add_api_route" | "add_route" | "register_function")
        || path.starts_with("gradio.") && matches!(last, "click" | "submit" | "change" | "load" | "upload")
}

/// Decorators that make a function the answer to a request.
pub(super) fn is_route(path: &str) -> bool {
    let path = path.strip_suffix("()").unwrap_or(path);
    let Some((base, last)) = path.rsplit_once('.') else { return false };
    let server = [
        "flask.",
        "fastapi.",
        "sanic.",
        "starlette.",
        "quart.",
        "bottle",
        "aiohttp.web",
        "litestar",
        "falcon",
        "robyn",
        "mcp.",
    ]
    .iter()
    .any(|root| base.starts_with(root));
    server
        && matches!(
            last,
            "route" | "get" | "post" | "put" | "delete" | "patch" | "websocket" | "api_route" | "tool"
        )
}

impl Machine {
    /// What a function that is known computes; `None` when it is not known.
    pub(super) fn known_call(&mut self, path: &str, taint: Taint, given: &[Arg], line: u32) -> Option<Value> {
        let positional: Vec<&Value> =
            given.iter().filter(|(name, _)| name.is_none()).map(|(_, value)| value).collect();
        let first = positional.first().copied();
        let second = positional.get(1).copied();
        let sum = given.iter().fold(Taint { made: false, ..taint }, |sum, (_, value)| sum.and(value.taint));
        let made = Taint { made: true, ..sum };
        match path {
            "getattr" | "object.__getattribute__" | "inspect.getattr_static" | "type.__getattribute__" => {
                let (target, name) = (first?.clone(), second?.clone());
                let mut value = self.dotted_once(&target, &name, line);
                if let Some(default) = positional.get(2)
                    && value.is_unknown()
                {
                    value = (*default).clone();
                }
                Some(value)
            }
            "setattr" => {
                let (target, name, value) =
                    (first?.clone(), second?.as_text()?.clone(), (*positional.get(2)?).clone());
                self.set_attribute(&target, &name, value, line);
                Some(Value::of(Kind::None))
            }
            "operator.attrgetter" | "operator.itemgetter" | "operator.methodcaller" => {
                let what = match path {
                    "operator.attrgetter" => Maker::Attribute,
                    "operator.itemgetter" => Maker::Item,
                    _ => Maker::Method,
                };
                first?;
                Some(self.make(Thing::Maker { what, given: given.to_vec() }))
            }
            "__import__" | "importlib.__import__" => {
                self.resolves(first?, line);
                self.imported(first?, true, made)
            }
            "importlib.import_module"
            | "pydoc.locate"
            | "pkgutil.resolve_name"
            | "pydoc.safeimport"
            | "importlib.reload"
            | "importlib.util.resolve_name"
            | "sys.modules.get"
            | "sys.modules.__getitem__"
            | "sys.modules.pop" => {
                let first = first?;
                if path == "importlib.reload" {
                    return Some(first.clone());
                }
                self.resolves(first, line);
                self.imported(first, false, made)
            }
            "globals" => Some(Value::of(Kind::At(self.globals))),
            "vars" | "locals" if first.is_none() => Some(Value::of(Kind::At(self.scope))),
            "vars" => Some(self.attribute(&first?.clone(), &"__dict__".into(), line)),
            "sys._getframe" | "inspect.currentframe" | "inspect.stack" => {
                Some(Value::path("<frame>").with(sum))
            }
            "functools.partial" | "functools.partialmethod" => {
                let function = first?.clone();
                let mut rest = given.to_vec();
                let at = rest.iter().position(|(name, _)| name.is_none())?;
                rest.remove(at);
                let taint = function.taint;
                Some(self.make(Thing::Partial { function, given: rest }).with(taint))
            }
            "functools.reduce" => {
                let function = first?.clone();
                let (items, _) = self.items_of(&second?.clone());
                let mut items = items.into_iter();
                let mut value = match positional.get(2) {
                    Some(start) => (*start).clone(),
                    None => items.next()?,
                };
                for item in items.take(256) {
                    value = self.call(function.clone(), vec![(None, value), (None, item)], line);
                }
                Some(value)
            }
            "map"
            | "itertools.starmap"
            | "filter"
            | "itertools.filterfalse"
            | "itertools.takewhile"
            | "itertools.dropwhile"
            | "itertools.accumulate" => self.mapped(path, given, line),
            "sorted" | "min" | "max" | "heapq.nsmallest" | "heapq.nlargest" | "itertools.groupby"
            | "bisect.bisect" => {
                let row = positional.iter().rev().find(|value| matches!(value.kind, Kind::At(_)))?;
                let (items, open) = self.items_of(&(*row).clone());
                let key =
                    given.iter().find(|(name, _)| name.as_deref() == Some("key")).map(|(_, key)| key.clone());
                self.keyed(key, &items, line);
                let shape = Shape::List;
                match path {
                    "sorted" => {
                        let mut items = items;
                        let texts = items.iter().all(|item| item.as_text().is_some());
                        let plain = !given.iter().any(|(name, _)| name.is_some());
                        if texts && plain {
                            items.sort_by(|a, b| a.as_text().cmp(&b.as_text()));
                        }
                        Some(self.make(Thing::Row { items, shape, open: open || !texts }).with(sum))
                    }
                    _ => Some(items.first().cloned().unwrap_or(Value::unknown(sum))),
                }
            }
            "list"
            | "tuple"
            | "set"
            | "frozenset"
            | "iter"
            | "collections.deque"
            | "collections.OrderedDict.fromkeys"
                if !given.is_empty() =>
            {
                // `iter(function, end)` calls it.
                if path == "iter" && second.is_some() {
                    let function = first?.clone();
                    let value = self.call(function, Vec::new(), line);
                    return Some(self.row(vec![value], Shape::Iterator));
                }
                let first = first?.clone();
                if path == "iter"
                    && matches!(self.thing_of(&first), Some(Thing::Generator { .. } | Thing::Object { .. }))
                {
                    return Some(self.hook(&first, "__iter__", Vec::new(), line).unwrap_or(first));
                }
                let (items, open) = self.items_of(&first);
                let shape = match path {
                    "tuple" => Shape::Tuple,
                    "set" | "frozenset" => Shape::Set,
                    "iter" => Shape::Iterator,
                    _ => Shape::List,
                };
                Some(self.make(Thing::Row { items, shape, open }).with(sum))
            }
            "list" | "tuple" | "set" | "collections.deque" => Some(self.row(Vec::new(), Shape::List)),
            "next" => {
                let first = first?.clone();
                if let Some(value) = self.hook(&first, "__next__", Vec::new(), line) {
                    return Some(value);
                }
                let (items, _) = self.items_of(&first);
                if let Kind::At(id) = first.kind
                    && let Some(Thing::Row { items, shape: Shape::Iterator, .. }) =
                        self.things.get_mut(id as usize)
                    && !items.is_empty()
                {
                    return Some(items.remove(0));
                }
                Some(items.first().cloned().unwrap_or(Value::unknown(sum)))
            }
            "any" | "all" | "sum" | "collections.Counter" | "dict.fromkeys" => {
                let (items, open) = self.items_of(&first?.clone());
                if path == "sum"
                    && !open
                    && let Some(numbers) = items.iter().map(Value::as_int).collect::<Option<Vec<_>>>()
                {
                    let total = numbers.iter().try_fold(0_i64, |sum, number| sum.checked_add(*number));
                    return Some(
                        total.map_or(Value::unknown(sum), |total| Value {
                            kind: Kind::Int(total),
                            taint: sum,
                        }),
                    );
                }
                Some(Value::unknown(sum))
            }
            "zip" | "enumerate" => {
                let mut rows: Vec<Vec<Value>> = Vec::new();
                let mut open = false;
                for value in &positional {
                    let (items, rest) = self.items_of(&(*value).clone());
                    open |= rest;
                    rows.push(items);
                }
                if path == "enumerate" {
                    let row = rows.first()?;
                    let start = second.and_then(Value::as_int).unwrap_or(0);
                    let numbers = (0..row.len()).map(|at| Value::of(Kind::Int(start + at as i64))).collect();
                    rows = vec![numbers, row.clone()];
                }
                let length = rows.iter().map(Vec::len).min().unwrap_or(0).min(65_536);
                let mut all = Vec::new();
                for at in 0..length {
                    let pair = rows.iter().map(|row| row[at].clone()).collect();
                    all.push(self.row(pair, Shape::Tuple));
                    if self.exhausted {
                        break;
                    }
                }
                Some(self.make(Thing::Row { items: all, shape: Shape::List, open }).with(sum))
            }
            "range" => {
                let numbers: Option<Vec<i64>> = positional.iter().map(|value| value.as_int()).collect();
                let (from, to, step) = match numbers?.as_slice() {
                    [to] => (0, *to, 1),
                    [from, to] => (*from, *to, 1),
                    [from, to, step] if *step != 0 => (*from, *to, *step),
                    _ => return None,
                };
                let mut all = Vec::new();
                let mut at = from;
                while (step > 0 && at < to || step < 0 && at > to) && all.len() < 65_536 {
                    all.push(Value::of(Kind::Int(at)));
                    at = at.checked_add(step)?;
                }
                Some(self.row(all, Shape::Tuple))
            }
            "reversed" => {
                let first = first?.clone();
                let (mut items, open) = self.items_of(&first);
                items.reverse();
                for item in &mut items {
                    item.taint.made = true;
                }
                Some(self.make(Thing::Row { items, shape: Shape::Iterator, open }).with(made))
            }
            "dict" | "collections.OrderedDict" | "types.MappingProxyType" => {
                let mut pairs = first.map_or(Vec::new(), |first| self.pairs_of(first));
                if let Some(first) = first
                    && pairs.is_empty()
                {
                    for item in self.items_of(&first.clone()).0 {
                        if let (Some(key), Some(value)) =
                            (self.row_items(&item).0.first(), self.row_items(&item).0.get(1))
                        {
                            pairs.push((key.clone(), value.clone()));
                        }
                    }
                }
                for (name, value) in given {
                    if let Some(name) = name {
                        pairs.push((Value::text(name.clone()), value.clone()));
                    }
                }
                Some(
                    self.make(Thing::Map { pairs, open: false, factory: None })
                        .with(Taint { made: false, ..sum }),
                )
            }
            "collections.ChainMap" => {
                let pairs = positional.iter().rev().flat_map(|one| self.pairs_of(one)).collect();
                Some(self.make(Thing::Map { pairs, open: false, factory: None }))
            }
            "collections.defaultdict" => {
                let factory = first.filter(|factory| !matches!(factory.kind, Kind::None)).cloned();
                Some(self.make(Thing::Map { pairs: Vec::new(), open: true, factory }))
            }
            "types.SimpleNamespace" | "argparse.Namespace" => {
                let names =
                    given.iter().filter_map(|(name, value)| Some((name.clone()?, value.clone()))).collect();
                Some(self.make(Thing::Object { class: Value::path("types.SimpleNamespace"), names }))
            }
            "property" => Some(self.make(Thing::Wrapped { how: Wrap::Property, inner: first?.clone() })),
            "staticmethod" => Some(self.make(Thing::Wrapped { how: Wrap::Static, inner: first?.clone() })),
            "classmethod" => Some(self.make(Thing::Wrapped { how: Wrap::Class, inner: first?.clone() })),
            "types.MethodType" => {
                let (function, this) = (first?.clone(), second?.clone());
                Some(self.make(Thing::Bound { function, this }))
            }
            "type" if positional.len() == 3 => {
                let (bases, _) = self.row_items(positional.get(1)?);
                let names = self
                    .pairs_of(positional.get(2)?)
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.as_text()?.clone(), value)))
                    .collect();
                let name = first.and_then(|name| name.as_text().cloned()).unwrap_or_default();
                Some(self.make(Thing::Class(super::value::Class { name, bases, names, meta: None })))
            }
            "type" => match first.and_then(|first| self.thing_of(first)) {
                Some(Thing::Object { class, .. }) => Some(class.clone()),
                _ => Some(Value::path("<type>").with(sum)),
            },
            "compile" => {
                let first = first?;
                match &first.kind {
                    Kind::Str(code) | Kind::Bytes(code) => {
                        Some(Value { kind: Kind::Code(code.clone()), taint: first.taint })
                    }
                    _ => Some(Value::unknown(sum)),
                }
            }
            "ast.parse" | "textwrap.dedent" | "inspect.cleandoc" | "copy.copy" | "copy.deepcopy"
            | "typing.cast" | "weakref.ref" | "weakref.proxy" => {
                let first = first?.clone();
                if path.starts_with("copy.") || path == "typing.cast" {
                    if let Some(Thing::Object { class, .. }) = self.thing_of(&first) {
                        let class = class.clone();
                        self.hand_object(&first, &class, line);
                    }
                    return Some(if path == "typing.cast" { second?.clone() } else { first });
                }
                match path {
                    "textwrap.dedent" | "inspect.cleandoc" | "ast.parse" => {
                        first.as_text().map(|_| first.clone())
                    }
                    _ => Some(first),
                }
            }
            "ast.literal_eval" => {
                let first = first?;
                let (expr, _) = super::parse::expression(first.as_text()?, 0);
                let value = self.eval(&expr);
                Some(value.with(made))
            }
            "str" | "repr" | "bytes" | "bytearray" | "format" | "ascii" => {
                self.as_string(path, given, sum, line)
            }
            "chr" => {
                let number = first?.as_int()?;
                let c = char::from_u32(u32::try_from(number).ok()?)?;
                Some(Value::text(c.to_string()).with(made))
            }
            "ord" => {
                let text = first?.as_text()?;
                let c = text.chars().next()?;
                Some(Value { kind: Kind::Int(i64::from(u32::from(c))), taint: sum })
            }
            "int" => {
                let first = first?;
                if let Some(number) = first.as_int() {
                    return Some(Value { kind: Kind::Int(number), taint: sum });
                }
                let radix = second.map_or(Some(10), Value::as_int)?;
                let text = first.as_text()?.trim().to_ascii_lowercase();
                let digits = text.trim_start_matches("0x").trim_start_matches("0b").trim_start_matches("0o");
                let radix = if radix == 0 { 16 } else { radix };
                let radix = u32::try_from(radix).ok().filter(|radix| (2..=36).contains(radix))?;
                let number = i64::from_str_radix(digits, radix).ok()?;
                Some(Value { kind: Kind::Int(number), taint: sum })
            }
            "hex" => Some(Value::text(format!("{:#x}", first?.as_int()?)).with(sum)),
            "len" => {
                let first = first?.clone();
                if let Some(value) = self.hook(&first, "__len__", Vec::new(), line) {
                    return Some(value);
                }
                let length = match (first.as_text(), self.thing_of(&first)) {
                    (Some(text), _) => text.chars().count(),
                    (_, Some(Thing::Row { items, open: false, .. })) => items.len(),
                    (_, Some(Thing::Map { pairs, open: false, .. })) => pairs.len(),
                    _ => return Some(Value::unknown(sum)),
                };
                Some(Value { kind: Kind::Int(length as i64), taint: Taint { made: false, ..sum } })
            }
            "dir" => {
                let first = first?.clone();
                let names: Vec<Value> = match (first.as_path(), self.thing_of(&first)) {
                    (Some("builtins"), _) => ["abs", "eval", "exec", "len", "open", "print", "__import__"]
                        .map(Value::text)
                        .to_vec(),
                    (Some("os"), _) => {
                        ["execv", "getcwd", "popen", "system", "path"].map(Value::text).to_vec()
                    }
                    _ => return None,
                };
                let names = names.into_iter().map(|name| name.with(Taint { made: true, ..sum })).collect();
                Some(self.make(Thing::Row { items: names, shape: Shape::List, open: true }))
            }
            "isinstance" | "issubclass" | "hasattr" | "callable" => {
                Some(Value::unknown(Taint { made: false, ..sum }))
            }
            "str.maketrans" | "bytes.maketrans" => {
                let mut pairs: Vec<(Value, Value)> = first.map_or(Vec::new(), |first| self.pairs_of(first));
                if let (Some(from), Some(to)) =
                    (first.and_then(Value::as_text), second.and_then(Value::as_text))
                {
                    let letter = |c: char| Value::text(c.to_string());
                    pairs =
                        from.chars().zip(to.chars()).map(|(from, to)| (letter(from), letter(to))).collect();
                }
                Some(self.make(Thing::Map { pairs, open: false, factory: None }))
            }
            "html.unescape" => Some(Value::text(text::entities(first?.as_text()?)?).with(made)),
            "urllib.parse.unquote" | "urllib.parse.unquote_plus" => {
                Some(Value::text(text::unquoted(first?.as_text()?)).with(made))
            }
            "unicodedata.normalize" => Some(Value::unknown(made)),
            "json.loads" => {
                let parsed: serde_json::Value = serde_json::from_str(first?.as_text()?).ok()?;
                for (name, value) in given {
                    if name.is_some() {
                        self.call(value.clone(), vec![(None, Value::default())], line);
                    }
                }
                Some(self.json(&parsed, made, 0))
            }
            "string.Template" => {
                let text = first?.clone();
                let names = [("template".into(), text)].into_iter().collect();
                Some(self.make(Thing::Object { class: Value::path("string.Template"), names }))
            }
            "os.putenv" | "os.environ.setdefault" | "os.environ.__setitem__" => {
                if let (Some(key), Some(value)) = (first?.as_text(), second?.as_text()) {
                    let (key, value) = (key.clone(), value.clone());
                    self.sets(&key, &value, line);
                }
                None
            }
            "os.environ.update" => {
                let mut pairs = first.map_or(Vec::new(), |first| self.pairs_of(first));
                for (name, value) in given {
                    pairs.extend(name.clone().map(|name| (Value::text(name), value.clone())));
                }
                for (key, value) in pairs {
                    if let (Some(key), Some(value)) = (key.as_text(), value.as_text()) {
                        let (key, value) = (key.clone(), value.clone());
                        self.sets(&key, &value, line);
                    }
                }
                None
            }
            _ if path.ends_with(".__getattribute__")
                && first.is_some_and(|first| first.as_text().is_some()) =>
            {
                let base = Value::path(path.trim_end_matches(".__getattribute__"));
                let name = first?.clone();
                let mut found = self.dotted_once(&base, &name, line);
                found.taint.made = true;
                Some(found)
            }
            "os.path.join" | "posixpath.join" | "pathlib.Path" | "pathlib.PurePath"
            | "os.path.expanduser" | "os.path.expandvars" | "os.path.abspath" => {
                self.joined_path(path, &positional, sum)
            }
            // The file of this name beside another.
            _ if path.starts_with("pathlib.Path()") && path.ends_with(".with_name") => {
                self.joined_path("pathlib.Path", &positional, sum)
            }
            // An array is the numbers that it is made of.
            "array.array" => {
                let items = second?;
                match (&items.kind, self.thing_of(items)) {
                    (_, Some(Thing::Row { items, open, .. })) => {
                        let (items, open) = (items.clone(), *open);
                        Some(self.make(Thing::Row { items, shape: Shape::List, open }).with(sum))
                    }
                    (Kind::Bytes(_), _)
                        if first.and_then(Value::as_text).is_some_and(|code| code.as_ref() == "B") =>
                    {
                        Some(items.clone().with(sum))
                    }
                    _ => None,
                }
            }
            "codecs.decode" | "codecs.encode" => {
                let text = first?.as_text()?.clone();
                let codec = second.and_then(Value::as_text).cloned();
                self.decoded_by(&text, codec.as_deref().unwrap_or("utf-8"), made)
            }
            "site.getsitepackages"
            | "site.getusersitepackages"
            | "sysconfig.get_path"
            | "sysconfig.get_paths"
            | "distutils.sysconfig.get_python_lib" => {
                let mut taint = sum;
                taint.origin.trusted_place = true;
                Some(Value::unknown(taint))
            }
            "asyncio.run"
            | "asyncio.get_event_loop().run_until_complete"
            | "asyncio.ensure_future"
            | "asyncio.create_task"
            | "asyncio.gather" => Some(first.cloned().unwrap_or(Value::unknown(sum))),
            _ if calls::decodes(path) => {
                let bytes = first?.as_text()?.clone();
                let text = constant::decoded(path, &bytes)?;
                if text.len() > MAX_TEXT {
                    return Some(Value::unknown(made));
                }
                let mut taint = made;
                taint.origin.decoded = true;
                Some(self.made(text, true, taint))
            }
            _ if calls::calls_back(path) || path == "atexit.register" || path == "weakref.finalize" => {
                self.called_back(path, given, line)
            }
            _ => None,
        }
    }

    pub(super) fn dotted_once(&mut self, target: &Value, name: &Value, line: u32) -> Value {
        match name.as_text().cloned() {
            Some(text) => {
                let mut value = self.attribute(target, &text, line);
                value.taint.made |= name.taint.made;
                value
            }
            None => {
                let names = self.each(name);
                if names.len() > 1 {
                    let mut out: Option<Value> = None;
                    for name in names {
                        let found = self.dotted_once(target, &name, line);
                        out = Some(match out {
                            Some(out) => self.any(out, found),
                            None => found,
                        });
                    }
                    return out.unwrap_or_default();
                }
                self.dotted(target, name, line)
            }
        }
    }

    fn resolves(&mut self, name: &Value, line: u32) {
        if name.as_text().is_some() {
            self.resolved.insert(self.line.unwrap_or(line));
        }
    }

    pub(super) fn imported(&mut self, name: &Value, top: bool, made: Taint) -> Option<Value> {
        let text = name.as_text()?;
        let taint = Taint { made: name.taint.made, ..made };
        let name = text.replace(':', ".");
        let path =
            if top { name.split('.').next().unwrap_or("").to_owned() } else { canonical(&module(&name)) };
        Some(Value::path(&module(&path)).with(taint))
    }
}
