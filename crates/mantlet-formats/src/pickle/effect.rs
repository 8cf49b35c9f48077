//! What loading a named function or class does: a shipped table of framework semantics.
//!
//! The table is the policy. Nothing is looked up on the machine that scans, so the same bytes give the same
//! verdict everywhere.

use super::table::{Effects, Row};

/// What calling (or, for [`Effect::Reference`], naming) a global does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Makes plain data.
    Data,
    /// Builds an object of an allowed class, its initialiser included.
    Object,
    /// An allowed class when it is made without running its initialiser.
    Instance,
    /// A function of a known framework: harmless to refer to, not judged when called.
    Reference,
    /// Calls what it is given.
    HigherOrder,
    /// Turns names into objects.
    Resolves,
    /// Imports a module by name.
    Imports,
    /// Reads files or other local state.
    Reads,
    /// Changes what later loads do (registries, exit hooks).
    Registers,
    /// Changes attributes or items of imported objects.
    Patches,
    /// Loads another pickle or an equally powerful format.
    Decodes,
    /// Carries code that runs when the object is used.
    Code,
    /// Writes, moves or deletes files.
    Writes,
    /// Talks to the network.
    Network,
    /// Runs commands or code.
    Executes,
    /// Not in the table.
    Unknown,
}

impl Effect {
    /// The effect as the verb phrase after "can".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Data => "make plain data",
            Self::Object | Self::Instance => "build an object of a known framework",
            Self::Reference => "be any function of a known framework",
            Self::HigherOrder => "call what it is given",
            Self::Resolves => "turn names into functions",
            Self::Imports => "import any module",
            Self::Reads => "read local files",
            Self::Registers => "change what happens later in the process",
            Self::Patches => "overwrite parts of imported code",
            Self::Decodes => "load another pickle",
            Self::Code => "carry code",
            Self::Writes => "write or delete files",
            Self::Network => "talk to the network",
            Self::Executes => "run commands or code",
            Self::Unknown => "do anything: nothing is known about it",
        }
    }

    /// Whether naming it is part of ordinary model files.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Data | Self::Object | Self::Instance | Self::Reference)
    }

    pub(super) fn parse(word: &str) -> Self {
        match word {
            "data" => Self::Data,
            "object" => Self::Object,
            "instance" => Self::Instance,
            "ref" => Self::Reference,
            "hof" => Self::HigherOrder,
            "resolve" => Self::Resolves,
            "import" => Self::Imports,
            "read" => Self::Reads,
            "register" => Self::Registers,
            "patch" => Self::Patches,
            "decode" => Self::Decodes,
            "code" => Self::Code,
            "write" => Self::Writes,
            "net" => Self::Network,
            "exec" => Self::Executes,
            _ => Self::Unknown,
        }
    }
}

macro_rules! specials {
    ($($variant:ident $word:literal),+ $(,)?) => {
        /// Calls that are evaluated symbolically.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Special { None, $($variant),+ }
        impl Special {
            pub(super) fn parse(word: &str) -> Self {
                match word { $($word => Self::$variant,)+ _ => Self::None }
            }
        }
    };
}
specials! {
    Getattr "getattr", Attrgetter "attrgetter", Itemgetter "itemgetter", Methodcaller "methodcaller",
    Import "import", Resolve "resolve", ModuleName "modulename", Partial "partial", Reduce "reduce",
    Map "map", GetItem "getitem", Vars "vars", Str "str", Encode "encode", Concat "concat", Join "join",
    Apply "apply", Loads "loads", BytesIo "bytesio", Open "open", AddExtension "addext",
    Reconstruct "reconstruct", NewObj "newobj", Base64 "base64", Inflate "inflate", FromType "fromtype",
    Ufunc "ufunc", DtypeName "dtypename", Size "size", JoblibWrapper "joblib", Dtype "dtype", TypeOf "type", Frozen "distribution",
    Factory "factory", Formula "formula", Quiet "quiet", NewIndex "newindex", Tensor "tensor", Sparse "sparse", Extents "extents", CreateArray "createarray", LoadType "loadtype", Repr "repr",
}

/// Dangerous modules that one name may lead through.
const MAX_HOPS: usize = 64;

impl Effects {
    /// Whether the table knows the module itself, so that naming it as an attribute means the module.
    pub(crate) fn knows_module(self, module: &str) -> bool {
        let table = self.table();
        table.exact.contains_key(module) || table.below.contains_key(module)
    }

    /// Whether everything in this module is dangerous to reach.
    pub(crate) fn is_dangerous_module(self, module: &str) -> bool {
        let rows = self.table().exact.get(module).or_else(|| self.table().below.get(module));
        rows.is_some_and(|rows| rows.iter().any(|(name, effect, _)| *name == "*" && is_grave(*effect)))
            || matches!(module, "builtins" | "__builtin__" | "importlib" | "pickle" | "_pickle" | "types")
    }

    /// What this global does when called.
    pub(crate) fn lookup(self, module: &str, name: &str) -> (Effect, Special) {
        let (mut module, mut name) = (module, name);
        for _ in 0..MAX_HOPS {
            match self.step(module, name) {
                Ok(found) => return found,
                Err(further) => (module, name) = further,
            }
        }
        // Nobody walks through so many dangerous modules to reach something harmless.
        (Effect::Executes, Special::None)
    }

    /// One step of a lookup: what was found, or the dangerous module that the name leads to and the rest of the name.
    /// The effort is that of reading the name a few times, however it is made.
    fn step<'n>(self, module: &str, name: &'n str) -> Result<(Effect, Special), (&'n str, &'n str)> {
        if let Some(found) = self.lookup_plain(module, name) {
            return Ok(found);
        }
        // A dotted name walks attributes: through an imported module it can reach anything that module imported.
        let Some((path, last)) = name.rsplit_once('.') else {
            let internal = is_internal(name) && !is_class(name);
            return Ok((if internal { Effect::Executes } else { Effect::Unknown }, Special::None));
        };
        if name.split('.').any(is_internal) {
            return Ok((Effect::Executes, Special::None));
        }
        let full = format!("{module}.{path}");
        if let Some(found) = self.lookup_plain(&full, last).filter(|found| is_grave(found.0)) {
            return Ok(found);
        }
        let table = self.table();
        // Where each part begins; every part but the last may be the last of a module's name.
        let starts: Vec<usize> =
            std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1)).collect();
        for (from, &start) in starts.iter().enumerate() {
            let root = name[start..].split('.').next().unwrap_or("");
            if !table.roots.contains(root) {
                continue;
            }
            for &next in starts.iter().skip(from + 1).take(table.parts).rev() {
                let inner = &name[start..next - 1];
                if inner.len() <= table.longest && self.knows_module(inner) && self.is_dangerous_module(inner)
                {
                    return Err((inner, &name[next..]));
                }
            }
        }
        let first = name.split('.').next().unwrap_or(name);
        // A class nested in an allowed class is as allowed as its outer class.
        if name.split('.').all(is_class) {
            return Ok(self.lookup_plain(module, first).unwrap_or((Effect::Unknown, Special::None)));
        }
        let outer = self.lookup_plain(module, first).map_or(Effect::Unknown, |(effect, _)| effect);
        Ok((if outer.is_allowed() { Effect::Reference } else { outer }, Special::None))
    }

    fn lookup_plain(self, module: &str, name: &str) -> Option<(Effect, Special)> {
        let table = self.table();
        let pick = |rows: &Vec<Row>| {
            let exact = rows.iter().find(|(pattern, ..)| *pattern == name);
            let row = exact.or_else(|| rows.iter().find(|(pattern, ..)| matches(pattern, name)))?;
            Some((row.1, row.2))
        };
        if let Some(found) = table.exact.get(module).and_then(&pick) {
            return Some(found);
        }
        // A module hidden behind a known framework module (`torch.serialization` has the name `os`).
        let mut ancestor = module;
        while ancestor.len() > table.longest {
            ancestor = ancestor.rsplit_once('.')?.0;
        }
        loop {
            if let Some(found) = table.below.get(ancestor).and_then(&pick) {
                // No ordinary pickle names what lies among a library's tests; what does is there to be used.
                if found.0.is_allowed() && module[ancestor.len()..].split('.').any(is_workshop) {
                    return Some((Effect::Unknown, Special::None));
                }
                let alias = !is_class(name) && self.is_dangerous_module(name) && !is_grave(found.0);
                return Some(if alias { (Effect::Resolves, Special::ModuleName) } else { found });
            }
            ancestor = ancestor.rsplit_once('.')?.0;
        }
    }
}

pub(super) const fn is_grave(effect: Effect) -> bool {
    matches!(effect, Effect::Executes | Effect::Network | Effect::Writes | Effect::Decodes | Effect::Imports)
}

fn matches(pattern: &str, name: &str) -> bool {
    if name.contains('.') {
        return false;
    }
    match pattern {
        "*" => true,
        "A*" => is_class(name),
        _ => {
            let (prefix, suffix) = pattern.split_once('*').unwrap_or((pattern, "\0"));
            let class = prefix != "A" || is_class(name);
            class && (prefix == "A" || name.starts_with(prefix)) && name.ends_with(suffix)
        }
    }
}

/// Parts of a library that only its developers run.
fn is_workshop(part: &str) -> bool {
    part.starts_with("test") || matches!(part, "_testing" | "conftest" | "benchmarks" | "setup")
}

/// Names written like classes: `Tree`, `_Private`, but not `__dunder__` or `function`.
fn is_class(name: &str) -> bool {
    name.trim_start_matches('_').starts_with(|c: char| c.is_ascii_uppercase())
}

/// Attributes that lead from any object into the interpreter.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(
        name,
        "__globals__"
            | "__builtins__"
            | "__subclasses__"
            | "__code__"
            | "__import__"
            | "__loader__"
            | "__spec__"
            | "__getattribute__"
            | "__mro__"
            | "__bases__"
            | "__base__"
            | "__closure__"
            | "__func__"
            | "__self__"
            | "__dict__"
            | "__init_subclass__"
            | "__reduce_ex__"
            | "__reduce__"
            | "f_globals"
            | "f_builtins"
            | "f_locals"
            | "gi_frame"
            | "tb_frame"
            | "load_module"
            | "exec_module"
    )
}

/// The Python 3 home of names that older protocols write with their Python 2 home.
pub(crate) fn python3_name<'a>(module: &'a str, name: &'a str) -> (&'a str, &'a str) {
    let renamed = match (module, name) {
        ("__builtin__", "xrange") => return ("builtins", "range"),
        ("__builtin__", "unicode" | "unichr" | "basestring") => return ("builtins", "str"),
        ("__builtin__", "long") => return ("builtins", "int"),
        ("__builtin__", "reduce") | ("_functools", "reduce") => return ("functools", "reduce"),
        ("_functools", "partial") => return ("functools", "partial"),
        ("__builtin__", "raw_input") => return ("builtins", "input"),
        ("itertools", "imap") => return ("builtins", "map"),
        ("itertools", "ifilter") => return ("builtins", "filter"),
        ("itertools", "izip") => return ("builtins", "zip"),
        ("UserDict", "UserDict" | "IterableUserDict") => return ("collections", "UserDict"),
        ("UserList", "UserList") => return ("collections", "UserList"),
        ("UserString", "UserString") => return ("collections", "UserString"),
        ("__builtin__", _) => "builtins",
        ("copy_reg", _) => "copyreg",
        ("cPickle" | "_pickle" | "pickle._Unpickler", _) => "pickle",
        ("Queue", _) => "queue",
        ("exceptions", _) => "builtins",
        ("_operator", _) => "operator",
        ("_io" | "_pyio", _) => "io",
        ("_collections" | "_collections_abc", _) => "collections",
        ("_socket" | "SocketServer", _) => "socket",
        ("_posixsubprocess" | "commands" | "popen2", _) => "subprocess",
        ("_decimal" | "_pydecimal", _) => "decimal",
        ("_datetime" | "_pydatetime", _) => "datetime",
        ("_random", _) => "random",
        ("_struct", _) => "struct",
        ("pathlib._local" | "pathlib._abc", _) => "pathlib",
        ("importlib._bootstrap" | "importlib._bootstrap_external", _) => "importlib",
        _ => return (module, name),
    };
    (renamed, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_what_they_reach() {
        let effect = |module: &str, name: &str| {
            let (module, name) = python3_name(module, name);
            Effects::default().lookup(module, name).0
        };
        assert_eq!(effect("os", "system"), Effect::Executes);
        assert_eq!(effect("nt", "system"), Effect::Executes);
        assert_eq!(effect("__builtin__", "eval"), Effect::Executes);
        assert_eq!(effect("builtins", "set"), Effect::Data);
        assert_eq!(effect("sklearn.tree._classes", "DecisionTreeClassifier"), Effect::Object);
        assert_eq!(effect("sklearn.metrics._ranking", "roc_auc_score"), Effect::Reference);
        assert_eq!(effect("sklearn.utils", "os.system"), Effect::Executes);
        assert_eq!(effect("sklearn.utils._testing", "os.system"), Effect::Executes);
        assert_eq!(effect("torch.serialization", "os"), Effect::Resolves);
        assert_eq!(effect("collections", "OrderedDict.__init__.__globals__"), Effect::Executes);
        assert_eq!(effect("numpy", "testing._private.utils.runstring"), Effect::Executes);
        assert_eq!(effect("mypackage", "Thing"), Effect::Unknown);
        assert_eq!(effect("sklearn.tests.test_base", "MyEstimator"), Effect::Unknown);
        assert_eq!(effect("uuid", "_get_command_stdout"), Effect::Executes);
        assert_eq!(effect("numpy.core.multiarray", "_reconstruct"), Effect::Object);
        assert_eq!(effect("numpy._core.multiarray", "_reconstruct"), Effect::Object);
        assert_eq!(effect("mypackage", "a.b.importlib.import_module"), Effect::Imports);
        assert_eq!(effect("mypackage", "os.os.path.os.system"), Effect::Executes);
        assert!(effect("collections", "OrderedDict.Inner").is_allowed());
    }

    #[test]
    fn names_of_many_parts_cost_no_more_than_they_are_long() {
        let table = Effects::default();
        let begun = std::time::Instant::now();
        for part in ["a", "A", "os", "sklearn", "importlib", "x.os"] {
            let many = vec![part; 30_000].join(".");
            let reached = table.lookup("x", &many).0;
            assert_eq!(reached == Effect::Unknown, matches!(part, "a" | "A" | "sklearn"), "{part}");
            let _ = table.lookup(&many, "x");
            let _ = table.lookup(&many, &many);
        }
        // Milliseconds; when each part was tried with all that follow it, this took hours.
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }
}
