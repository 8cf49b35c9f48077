//! R's serialised objects (`.rds`, `.rda`): promises and code among the data.
//!
//! Long because one reader walks every kind of object.

use mantlet_vocab::Source;

use crate::Bounds;
use crate::window::Window;

/// The facts of serialised R objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RData {
    /// Promises outside of saved environments: code that runs when the object is looked at. Offset and code.
    pub promises: Vec<(String, u64)>,
    /// Promises in saved environments, as R leaves them in closures.
    pub kept_promises: u64,
    /// Functions.
    pub functions: u64,
    /// Names of functions called in code that is carried.
    pub called: Vec<(String, u64)>,
    /// Functions that run something, called in a formula: what a formula names is evaluated when the model predicts.
    pub formulas: Vec<(String, u64)>,
    /// Names that R calls by itself when it starts or ends.
    pub startup: Vec<(String, u64)>,
    /// Forms that open a file of the machine whose name they hold.
    pub opens: Vec<(String, u64)>,
    /// What is wrong, and where.
    pub defect: Option<(String, u64)>,
    /// What was not followed.
    pub limits: Vec<String>,
    /// Where the objects end.
    pub end: u64,
}

/// Whether the bytes begin like serialised R objects.
#[must_use]
pub fn is_rdata(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"RDX2\n").or_else(|| head.strip_prefix(b"RDX3\n")).unwrap_or(head);
    let xdr = head.starts_with(b"X\n\0\0\0") && matches!(head.get(5), Some(2 | 3));
    xdr || head.starts_with(b"A\n2\n")
        || head.starts_with(b"A\n3\n")
        || head.starts_with(b"RDA2\nA\n")
        || head.starts_with(b"RDA3\nA\n")
}

/// Functions that run commands, load libraries, talk to the network, or change files and what starts by itself.
pub const RUNS: [&str; 44] = [
    "system",
    "system2",
    "shell",
    "shell.exec",
    "pipe",
    "fifo",
    "dyn.load",
    "socketConnection",
    "socketAccept",
    "serverSocket",
    "make.socket",
    "url",
    "download.file",
    "download.packages",
    "browseURL",
    "mcfork",
    "source",
    "sys.source",
    "source_url",
    "source_gist",
    "install.packages",
    "install_github",
    "install_url",
    "processx",
    "callr",
    "sys::exec_wait",
    "exec_wait",
    "exec_background",
    "py_run_string",
    "py_run_file",
    "source_python",
    "py_eval",
    "sourceCpp",
    "cppFunction",
    "evalCpp",
    "unlink",
    "file.remove",
    "file.rename",
    "file.copy",
    "file.append",
    "writeLines",
    "writeBin",
    "reg.finalizer",
    "addTaskCallback",
];

/// Functions that make code of a text, and one that runs code: together they run a text.
const READS_CODE: [&str; 4] = ["parse", "str2lang", "str2expression", "parse_expr"];

/// Names that R calls by itself when it starts in the folder of a workspace, or ends.
const STARTS: [&str; 4] = [".First", ".Last", ".First.sys", ".First.lib"];

impl RData {
    /// Whether what a function calls, taken together, runs a text as code.
    #[must_use]
    pub fn evaluates(&self) -> Option<u64> {
        let calls = |name: &str| self.called.iter().find(|(known, _)| known == name).map(|(_, at)| *at);
        let reads = READS_CODE.iter().any(|name| calls(name).is_some());
        calls("eval").or_else(|| calls("evalq")).or_else(|| calls("eval.parent")).filter(|_| reads)
    }
}

/// The bit of an entry's flags that says so: the sixteenth of its level, which begins at the thirteenth.
const ACTIVE: u32 = 1 << (12 + 15);

const MAX_NESTED: u32 = 150;
const MAX_LIST: usize = 256;
const MAX_LINE: usize = 1 << 20;

/// The facts of serialised R objects. Never fails.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> RData {
    let mut reader = Reader {
        window: Window::new(source, 0),
        facts: RData::default(),
        symbols: Vec::new(),
        depth: 0,
        environment: 0,
        formula: 0,
        max_header: bounds.max_header,
        kept: 0,
        ascii: false,
        compact: None,
    };
    if let Err(why) = reader.document() {
        let at = reader.window.offset();
        if let Some(error) = &reader.window.failed {
            reader.facts.limits.push(error.to_string());
        } else if let Some(why) = why.strip_prefix('~') {
            reader.facts.limits.push(format!("{why} at {at:#x}"));
        } else {
            reader.facts.defect = Some((why.to_owned(), at));
        }
    }
    reader.facts.end = reader.window.offset();
    reader.facts
}

struct Reader<'a> {
    window: Window<'a>,
    facts: RData,
    /// The reference table: names of symbols, empty for other objects.
    symbols: Vec<String>,
    depth: u32,
    /// Environments around the current object.
    environment: u32,
    /// Formulas around the current object.
    formula: u32,
    max_header: usize,
    kept: usize,
    /// R's text form: a number or text a line.
    ascii: bool,
    /// The names that say what a compact form is, while they are read.
    compact: Option<Vec<String>>,
}

type Step<T> = Result<T, &'static str>;

/// An object as far as code needs to be shown.
enum Seen {
    Symbol(String),
    Text(String),
    Other,
}

impl Reader<'_> {
    /// The next line of R's text form.
    fn line(&mut self) -> Step<String> {
        let mut line = Vec::new();
        loop {
            match self.window.byte().ok_or("it ends early")? {
                b'\n' => return Ok(String::from_utf8_lossy(&line).trim().to_owned()),
                byte if line.len() < MAX_LINE => line.push(byte),
                _ => return Err("~a line of its text form is too long"),
            }
        }
    }

    fn int(&mut self) -> Step<i32> {
        if self.ascii {
            let line = self.line()?;
            return if line == "NA" { Ok(i32::MIN) } else { line.parse().map_err(|_| "a number is none") };
        }
        self.window.array().map(i32::from_be_bytes).ok_or("it ends early")
    }

    fn length(&mut self) -> Step<u64> {
        match self.int()? {
            -1 => {
                let high = self.int()?.cast_unsigned();
                let low = self.int()?.cast_unsigned();
                Ok(u64::from(high) << 32 | u64::from(low))
            }
            len => u64::try_from(len).map_err(|_| "a length is negative"),
        }
    }

    fn skip(&mut self, count: u64, width: u64) -> Step<()> {
        if self.ascii {
            // Numbers, each on a line of its own; complex ones on two; raw bytes too, and texts in one piece.
            let lines = if width == 16 { count.saturating_mul(2) } else { count };
            for _ in 0..lines {
                self.line()?;
            }
            return Ok(());
        }
        let bytes = count.checked_mul(width).ok_or("a length overflows")?;
        if self.window.skip(bytes) { Ok(()) } else { Err("it ends early") }
    }

    fn document(&mut self) -> Step<()> {
        let head: [u8; 2] = self.window.array().ok_or("it ends early")?;
        if &head == b"RD" {
            self.skip(3, 1)?;
        } else {
            self.window.seek(0);
        }
        match self.window.array() {
            Some([b'X', b'\n']) => {}
            Some([b'A', b'\n']) => self.ascii = true,
            _ => return Err("~objects in this form of R's are not read"),
        }
        let version = self.int()?;
        self.skip(2, 4)?;
        if version == 3 {
            let len = self.length()?;
            self.skip(if self.ascii { 1 } else { len }, 1)?;
        } else if version != 2 {
            return Err("~this version of the format is not known");
        }
        self.object().map(|_| ())
    }

    fn object(&mut self) -> Step<Seen> {
        if self.depth >= MAX_NESTED {
            return Err("~objects are nested too deep");
        }
        self.depth += 1;
        let seen = self.body();
        self.depth -= 1;
        seen
    }

    fn body(&mut self) -> Step<Seen> {
        let at = self.window.offset();
        let flags = self.int()?.cast_unsigned();
        let (attributes, tag) = (flags & 0x200 != 0, flags & 0x400 != 0);
        match flags & 0xff {
            // Singletons: NULL, environments of R itself, missing arguments.
            254 | 253 | 252 | 251 | 242 | 241 | 247 | 243 => Ok(Seen::Other),
            255 => {
                let index = if flags >> 8 == 0 { self.int()?.cast_unsigned() } else { flags >> 8 };
                let name = (index as usize).checked_sub(1).and_then(|index| self.symbols.get(index));
                Ok(name
                    .filter(|name| !name.is_empty())
                    .map_or(Seen::Other, |name| Seen::Symbol(name.clone())))
            }
            1 => {
                let name = match self.object()? {
                    Seen::Text(text) => text,
                    _ => String::new(),
                };
                self.remember(name.clone())?;
                Ok(Seen::Symbol(name))
            }
            249 | 250 => {
                // A namespace or package: its name, as a list of texts.
                self.skip(1, 4)?;
                let count = self.length()?.min(64);
                for _ in 0..count {
                    self.object()?;
                }
                self.remember(String::new())?;
                Ok(Seen::Other)
            }
            4 => {
                self.skip(1, 4)?;
                self.remember(String::new())?;
                self.environment += 1;
                // Enclosing environment, variables, hash table, attributes.
                for _ in 0..4 {
                    self.object()?;
                }
                self.environment -= 1;
                Ok(Seen::Other)
            }
            2 | 6 | 17 => self.pairs(flags, at),
            3 => {
                self.facts.functions += 1;
                self.triple(attributes, tag)
            }
            5 => self.promise(attributes, tag, at),
            7 | 8 => {
                let len = self.length()?;
                self.skip(if self.ascii { 1 } else { len }, 1)?;
                Ok(Seen::Other)
            }
            9 => {
                let len = self.int()?;
                let Ok(len) = usize::try_from(len) else { return Ok(Seen::Text("NA".into())) };
                self.text(len)
            }
            10 | 13 => self.vector(4, attributes),
            14 => self.vector(8, attributes),
            15 => self.vector(16, attributes),
            24 => self.vector(1, attributes),
            16 | 19 | 20 => {
                let count = self.length()?;
                let mut only = Seen::Other;
                for _ in 0..count {
                    only = self.object()?;
                }
                if attributes {
                    self.object()?;
                }
                Ok(if count == 1 { only } else { Seen::Other })
            }
            21 => {
                self.facts.functions += 1;
                Err("~compiled code of R is not read")
            }
            22 | 23 => {
                self.remember(String::new())?;
                let fields = if flags & 0xff == 22 { 2 } else { 0 };
                for _ in 0..fields + u32::from(attributes) {
                    self.object()?;
                }
                Ok(Seen::Other)
            }
            25 => {
                if attributes {
                    self.object()?;
                }
                Ok(Seen::Other)
            }
            238 => {
                // A compact form: what makes it, its state, attributes.
                let outer = self.compact.replace(Vec::new());
                self.object()?;
                let names = std::mem::replace(&mut self.compact, outer).unwrap_or_default();
                if let Some(name) = names.iter().find(|name| name.starts_with("mmap_"))
                    && self.facts.opens.len() < MAX_LIST
                {
                    self.facts.opens.push((name.clone(), at));
                }
                for _ in 0..2 {
                    self.object()?;
                }
                Ok(Seen::Other)
            }
            239 | 240 => Err("~a reference to a package is not read"),
            _ => Err("an object is of no known kind"),
        }
    }

    fn remember(&mut self, name: String) -> Step<()> {
        self.kept += name.len() + 32;
        if self.kept > self.max_header {
            return Err("~it has too many names");
        }
        self.symbols.push(name);
        Ok(())
    }

    fn text(&mut self, len: usize) -> Step<Seen> {
        if self.ascii {
            return self.line().map(Seen::Text);
        }
        let keep = len.min(256);
        let mut text = Vec::with_capacity(keep);
        for _ in 0..keep {
            text.push(self.window.byte().ok_or("it ends early")?);
        }
        self.skip((len - keep) as u64, 1)?;
        Ok(Seen::Text(String::from_utf8_lossy(&text).into_owned()))
    }

    fn vector(&mut self, width: u64, attributes: bool) -> Step<Seen> {
        let count = self.length()?;
        self.skip(count, width)?;
        if attributes {
            self.object()?;
        }
        Ok(Seen::Other)
    }

    /// A call of this function, where it stands in a formula and runs something.
    fn in_formula(&mut self, name: &str, at: u64) {
        if self.formula > 0 && RUNS.contains(&name) && self.facts.formulas.len() < MAX_LIST {
            self.facts.formulas.push((name.to_owned(), at));
        }
    }

    /// A pairlist or a call, element by element.
    fn pairs(&mut self, first: u32, at: u64) -> Step<Seen> {
        let mut flags = first;
        let call = first & 0xff == 6;
        let (mut position, mut head) = (0_u32, String::new());
        let mut mark = self.window.offset();
        loop {
            match flags & 0xff {
                2 | 6 | 17 => {
                    if flags & 0x200 != 0 {
                        self.object()?;
                    }
                    if flags & 0x400 != 0
                        && let Seen::Symbol(tag) = self.object()?
                    {
                        // The names of a workspace stand at its outermost level.
                        let starts = self.depth == 1 && STARTS.contains(&tag.as_str());
                        if starts && self.facts.startup.len() < MAX_LIST {
                            self.facts.startup.push((tag.clone(), at));
                        }
                    }
                    // A value that is computed by a function each time it is looked at.
                    if flags & 0xff == 2 && flags & ACTIVE != 0 && self.facts.promises.len() < MAX_LIST {
                        self.facts.promises.push(("an active binding".to_owned(), at));
                    }
                    let inside = u32::from(call && head == "~" && position > 0);
                    self.formula += inside;
                    let value = self.object()?;
                    self.formula -= inside;
                    if let (Some(names), Seen::Symbol(name)) = (&mut self.compact, &value)
                        && names.len() < 8
                    {
                        names.push(name.clone());
                    }
                    // `base::system(x)`, `do.call("system", x)` name what they call in an operand.
                    let named = matches!(
                        head.as_str(),
                        "::" | ":::" | "do.call" | "match.fun" | "get" | "getFromNamespace"
                    );
                    if let (true, Seen::Symbol(name) | Seen::Text(name)) =
                        (call && named && position > 0, &value)
                        && self.facts.called.len() < MAX_LIST
                    {
                        self.facts.called.push((name.clone(), at));
                        self.in_formula(name, at);
                    }
                    if call
                        && position == 0
                        && let Seen::Symbol(name) = value
                    {
                        head.clone_from(&name);
                        self.in_formula(&name, at);
                        let known = self.facts.called.len();
                        // What runs something is listed after many others, too.
                        let runs = RUNS.contains(&name.as_str()) && known < 2 * MAX_LIST;
                        if known < MAX_LIST || runs {
                            self.facts.called.push((name, at));
                        }
                    }
                    position = position.saturating_add(1);
                    mark = self.window.offset();
                    flags = self.int()?.cast_unsigned();
                }
                254 => return Ok(Seen::Other),
                _ => {
                    // The end is an object of its own.
                    self.window.seek(mark);
                    return self.object().map(|_| Seen::Other);
                }
            }
        }
    }

    /// Attributes, environment (as tag), two more parts.
    fn triple(&mut self, attributes: bool, tag: bool) -> Step<Seen> {
        for _ in 0..2 + u32::from(attributes) + u32::from(tag) {
            self.object()?;
        }
        Ok(Seen::Other)
    }

    fn promise(&mut self, attributes: bool, tag: bool, at: u64) -> Step<Seen> {
        let known = self.facts.called.len();
        if self.environment > 0 {
            self.facts.kept_promises += 1;
            return self.triple(attributes, tag);
        }
        // Listed before it is read: what follows may be cut off on purpose.
        let listed = self.facts.promises.len();
        if listed < MAX_LIST {
            self.facts.promises.push((String::new(), at));
        }
        let result = self.triple(attributes, tag);
        let names: Vec<&str> =
            self.facts.called.iter().skip(known).take(8).map(|(name, _)| name.as_str()).collect();
        let code = names.join(", ");
        if let Some(entry) = self.facts.promises.get_mut(listed) {
            entry.0 = code;
        }
        result
    }
}
