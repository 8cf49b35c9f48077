//! TorchScript source: which operators it calls that touch files, processes or the network.
//!
//! TorchScript is a small language in Python's clothes. It cannot import, and it reaches the world only
//! through operators, so the operators are what is judged.

/// What an operator does beside computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// It belongs to a library that is not torch's own; what it does is not known.
    Foreign,
    /// Reads a file.
    Reads,
    /// Writes or maps a file.
    Writes,
    /// Talks to other machines.
    Network,
    /// Runs Python.
    Python,
}

impl Power {
    /// The power as the verb phrase after "can".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Foreign => "do what its library makes of it, which is not in the file",
            Self::Reads => "read files",
            Self::Writes => "write or map files",
            Self::Network => "call other machines",
            Self::Python => "run Python code",
        }
    }
}

/// An operator that does more than compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// `namespace::name`.
    pub name: String,
    /// What it does.
    pub power: Power,
    /// The line that calls it, cut.
    pub line: String,
    /// Offset of the call in the source.
    pub offset: u64,
    /// The member it is in.
    pub member: String,
}

/// Operators of one file that are kept.
const MAX_OPERATORS: usize = 256;

/// The operators of a TorchScript source that do more than compute, and whether these are all.
#[must_use]
pub fn operators(code: &[u8], member: &str) -> (Vec<Operator>, bool) {
    let mut found: Vec<Operator> = Vec::new();
    let mut at = 0;
    let mut whole = true;
    while at < code.len() && whole {
        match code[at] {
            b'#' => at = end_of_line(code, at),
            quote @ (b'"' | b'\'') => at = end_of_string(code, at, quote),
            b'^' => {
                // `^name(...)` is how an operator that is a Python function is written.
                let end = path_end(code, at + 1);
                if end > at + 1 {
                    whole = push(&mut found, code, member, at, "prim::PythonOp", Power::Python);
                }
                at = end.max(at + 1);
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                let end = path_end(code, at);
                let path = String::from_utf8_lossy(&code[at..end]);
                let attribute = at > 0 && code[at - 1] == b'.';
                if let Some((name, power)) = (!attribute).then(|| judge(&path)).flatten() {
                    whole = push(&mut found, code, member, at, &name, power);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    (found, whole)
}

/// Keeps an operator; false when there are too many.
fn push(found: &mut Vec<Operator>, code: &[u8], member: &str, at: usize, name: &str, power: Power) -> bool {
    if found.iter().any(|known| known.name == name) {
        return true;
    }
    if found.len() >= MAX_OPERATORS {
        return false;
    }
    let start = code[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |line| line + 1);
    let line = &code[start.max(at.saturating_sub(100))..end_of_line(code, at).min(at + 160)];
    let line = crate::pickle::clean(String::from_utf8_lossy(line).trim());
    found.push(Operator { name: name.into(), power, line, offset: at as u64, member: member.into() });
    true
}

fn end_of_line(code: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &code[at..]).map_or(code.len(), |len| at + len)
}

fn end_of_string(code: &[u8], at: usize, quote: u8) -> usize {
    let triple = [quote; 3];
    if code[at..].starts_with(&triple) {
        let body = at + 3;
        return memchr::memmem::find(&code[body..], &triple).map_or(code.len(), |len| body + len + 3);
    }
    let mut end = at + 1;
    while end < code.len() {
        match code[end] {
            b'\\' => end += 2,
            b'\n' => return end,
            byte if byte == quote => return end + 1,
            _ => end += 1,
        }
    }
    code.len()
}

fn path_end(code: &[u8], at: usize) -> usize {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    at + code[at..].iter().take(400).take_while(|&&byte| part(byte)).count()
}

/// The operator that a dotted name stands for, when it does more than compute.
fn judge(path: &str) -> Option<(String, Power)> {
    if let Some(rest) = path.strip_prefix("__torch__.torch.classes.") {
        let known = ["quantized.", "xnnpack.", "mkldnn.", "nnapi.", "metal."];
        let foreign = !known.iter().any(|known| rest.starts_with(known));
        let network = rest.starts_with("dist_") || rest.starts_with("c10d");
        let power = if network { Power::Network } else { Power::Foreign };
        return (foreign || network).then(|| (format!("classes::{}", rest.replace('.', "::")), power));
    }
    let (namespace, name) = match path.strip_prefix("ops.").or_else(|| path.strip_prefix("torch.ops.")) {
        Some(rest) => rest.split_once('.')?,
        None => match path.strip_prefix("torch.") {
            Some(name) => ("aten", name),
            None => match path {
                "rpc_async" | "rpc_sync" | "rpc_remote" => ("prim", path),
                _ => return None,
            },
        },
    };
    let name = name.split('.').next().unwrap_or(name);
    let power = match (namespace, name) {
        ("aten", "from_file" | "save") => Power::Writes,
        ("aten", "load" | "get_gradients") => Power::Reads,
        ("prim", "PythonOp" | "IgnoredPythonOp" | "CallPython") => Power::Python,
        ("prim" | "aten", "rpc_async" | "rpc_sync" | "rpc_remote") => Power::Network,
        ("c10d" | "_c10d_functional" | "c10d_functional" | "rpc", _) => Power::Network,
        (
            _,
            "read_file" | "load_audio_file" | "sox_io_load_audio_file" | "sox_io_get_info" | "get_info_file",
        ) => Power::Reads,
        (_, "write_file" | "save_audio_file" | "sox_io_save_audio_file" | "write_jpeg" | "write_png") => {
            Power::Writes
        }
        ("video_reader", _) if name.contains("file") => Power::Reads,
        (
            "aten"
            | "prim"
            | "prims"
            | "quantized"
            | "quantized_decomposed"
            | "_quantized"
            | "mkldnn"
            | "mkldnn_prepacked"
            | "mkl"
            | "onednn"
            | "xnnpack"
            | "prepacked"
            | "_nnapi"
            | "metal"
            | "metal_prepack"
            | "vulkan"
            | "vulkan_prepack"
            | "cudnn"
            | "profiler"
            | "static_runtime"
            | "sparse"
            | "inductor"
            | "higher_order"
            | "torchvision"
            | "torchaudio"
            | "image"
            | "fb"
            | "fbgemm"
            | "rnn_prepack"
            | "_prim"
            | "cuda"
            | "mps",
            _,
        ) => return None,
        _ => Power::Foreign,
    };
    Some((format!("{namespace}::{name}"), power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: &str) -> Vec<(String, Power)> {
        operators(code.as_bytes(), "m").0.into_iter().map(|found| (found.name, found.power)).collect()
    }

    #[test]
    fn operators_are_judged_by_what_they_touch() {
        let harmless = "def forward(self, x: Tensor) -> Tensor:\n  # ops.aten.from_file(x)\n  s = \"torch.save(x)\"\n  \
                        _0 = torch.relu(ops.aten.linear(x, self.save.load))\n  return ops.torchvision.nms(_0, _0, 0.5)\n";
        assert_eq!(names(harmless), []);
        assert_eq!(
            names("a = torch.from_file(\"/x\", True, 3)"),
            [("aten::from_file".into(), Power::Writes)]
        );
        assert_eq!(names("ops.image.write_file(p, d)"), [("image::write_file".into(), Power::Writes)]);
        assert_eq!(names("y = ^Exp()(x)"), [("prim::PythonOp".into(), Power::Python)]);
        assert_eq!(names("ops.mylib.run(x)"), [("mylib::run".into(), Power::Foreign)]);
        assert_eq!(
            names("self : __torch__.torch.classes.shell.Runner"),
            [("classes::shell::Runner".into(), Power::Foreign)]
        );
        assert_eq!(names("\"\"\"ops.prim.PythonOp\"\"\" '\\"), []);
    }
}
