//! What functions of Python and its common libraries can do, by their full names.

/// What calling a function can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// Runs commands.
    Runs,
    /// Runs code it is given as text or bytes.
    Evaluates,
    /// Talks to the network.
    Network,
    /// Opens pickles or an equally powerful format.
    Unpickles,
    /// Opens a model in a format that may carry code, or from a place that may.
    Loads,
    /// Reads YAML with tags that build objects.
    Yaml,
    /// Turns a check of a library off.
    Disarms,
    /// Loads a library of machine code.
    Native,
    /// Joins a connection to the standard streams, as reverse shells do.
    Redirects,
    /// Opens a file.
    Opens,
    /// Writes where programs start by themselves, or where people are let in.
    Plants,
    /// Writes or moves a file.
    Writes,
    /// None of these.
    Computes,
}

const EXACT: [(&str, Power); 89] = [
    ("os.system", Power::Runs),
    ("os.popen", Power::Runs),
    ("os.startfile", Power::Runs),
    ("os.posix_spawn", Power::Runs),
    ("os.posix_spawnp", Power::Runs),
    ("posix.system", Power::Runs),
    ("nt.system", Power::Runs),
    ("pty.spawn", Power::Runs),
    ("commands.getoutput", Power::Runs),
    ("subprocess.run", Power::Runs),
    ("subprocess.call", Power::Runs),
    ("subprocess.check_call", Power::Runs),
    ("subprocess.check_output", Power::Runs),
    ("subprocess.Popen", Power::Runs),
    ("subprocess.getoutput", Power::Runs),
    ("subprocess.getstatusoutput", Power::Runs),
    ("asyncio.create_subprocess_shell", Power::Runs),
    ("asyncio.create_subprocess_exec", Power::Runs),
    ("get_ipython().system", Power::Runs),
    ("exec", Power::Evaluates),
    ("eval", Power::Evaluates),
    ("execfile", Power::Evaluates),
    ("runpy.run_path", Power::Evaluates),
    ("types.FunctionType", Power::Evaluates),
    ("types.CodeType", Power::Evaluates),
    ("marshal.loads", Power::Evaluates),
    ("marshal.load", Power::Evaluates),
    ("urllib.request.urlopen", Power::Network),
    ("urllib.request.urlretrieve", Power::Network),
    ("urllib2.urlopen", Power::Network),
    ("urllib.urlopen", Power::Network),
    ("socket.create_connection", Power::Network),
    ("socket.socket", Power::Network),
    ("http.client.HTTPConnection", Power::Network),
    ("http.client.HTTPSConnection", Power::Network),
    ("wget.download", Power::Network),
    ("ftplib.FTP", Power::Network),
    ("smtplib.SMTP", Power::Network),
    ("urllib3.PoolManager", Power::Network),
    ("paramiko.SSHClient", Power::Network),
    ("pickle.load", Power::Unpickles),
    ("pickle.loads", Power::Unpickles),
    ("pickle.Unpickler", Power::Unpickles),
    ("cPickle.load", Power::Unpickles),
    ("cPickle.loads", Power::Unpickles),
    ("_pickle.load", Power::Unpickles),
    ("_pickle.loads", Power::Unpickles),
    ("dill.load", Power::Unpickles),
    ("dill.loads", Power::Unpickles),
    ("cloudpickle.load", Power::Unpickles),
    ("cloudpickle.loads", Power::Unpickles),
    ("jsonpickle.decode", Power::Unpickles),
    ("joblib.load", Power::Unpickles),
    ("sklearn.externals.joblib.load", Power::Unpickles),
    ("pandas.read_pickle", Power::Unpickles),
    ("shelve.open", Power::Unpickles),
    ("torch.load", Power::Unpickles),
    ("numpy.load", Power::Loads),
    ("torch.hub.load", Power::Loads),
    ("torch.hub.load_state_dict_from_url", Power::Loads),
    ("torch.utils.model_zoo.load_url", Power::Loads),
    ("torch.jit.load", Power::Loads),
    ("torch.package.PackageImporter", Power::Loads),
    ("keras.models.load_model", Power::Loads),
    ("keras.saving.load_model", Power::Loads),
    ("tensorflow.keras.models.load_model", Power::Loads),
    ("tensorflow.saved_model.load", Power::Loads),
    ("tensorflow_hub.load", Power::Loads),
    ("mlflow.pyfunc.load_model", Power::Loads),
    ("mlflow.sklearn.load_model", Power::Loads),
    ("mlflow.pytorch.load_model", Power::Loads),
    ("skops.io.load", Power::Loads),
    ("transformers.pipeline", Power::Loads),
    ("datasets.load_dataset", Power::Loads),
    ("huggingface_hub.hf_hub_download", Power::Loads),
    ("huggingface_hub.snapshot_download", Power::Loads),
    ("onnxruntime.InferenceSession", Power::Loads),
    ("yaml.load", Power::Yaml),
    ("yaml.load_all", Power::Yaml),
    ("yaml.unsafe_load", Power::Yaml),
    ("yaml.full_load", Power::Yaml),
    ("keras.config.enable_unsafe_deserialization", Power::Disarms),
    ("tensorflow.keras.config.enable_unsafe_deserialization", Power::Disarms),
    ("ssl._create_unverified_context", Power::Disarms),
    ("os.dup2", Power::Redirects),
    ("open", Power::Opens),
    ("io.open", Power::Opens),
    ("codecs.open", Power::Opens),
    ("pathlib.Path", Power::Opens),
];

/// What calling the function of this full name can do.
#[must_use]
pub fn power(callee: &str) -> Power {
    let callee = callee.strip_prefix("builtins.").or(callee.strip_prefix("__builtins__.")).unwrap_or(callee);
    if let Some((_, power)) = EXACT.iter().find(|(name, _)| *name == callee) {
        return *power;
    }
    if let Some(power) = super::libraries::power(callee) {
        return power;
    }
    if callee.starts_with("ctypes.") || callee.starts_with("cffi.FFI().dlopen().") {
        return native(callee);
    }
    // An entry of the built-in names that is computed: nobody looks `len` up this way.
    if matches!(callee, "builtins.__dict__[]" | "__builtins__.__dict__[]" | "__builtins__[]" | "__dict__[]") {
        return Power::Evaluates;
    }
    if interprets(callee) {
        return Power::Evaluates;
    }
    let (module, name) = callee.rsplit_once('.').unwrap_or(("", callee));
    match module {
        "get_ipython()"
            if matches!(
                name,
                "run_cell_magic" | "run_line_magic" | "magic" | "getoutput" | "system_raw" | "system_piped"
            ) =>
        {
            Power::Runs
        }
        "os" if name.starts_with("exec") || name.starts_with("spawn") => Power::Runs,
        "requests" | "requests.Session()" | "httpx" | "requests.session()" | "aiohttp.ClientSession()"
            if matches!(
                name,
                "get" | "post" | "put" | "request" | "head" | "patch" | "stream" | "delete"
            ) =>
        {
            Power::Network
        }
        "np" if name == "load" => Power::Loads,
        "pd" if name == "read_pickle" => Power::Unpickles,
        _ if name == "from_pretrained" => Power::Loads,
        _ if callee.starts_with("socket.socket()")
            && matches!(name, "connect" | "send" | "sendall" | "sendto" | "sendmsg") =>
        {
            Power::Network
        }
        _ => Power::Computes,
    }
}

/// Functions that run the source in a file they are given, whatever it is called.
pub(super) fn loads_source(callee: &str) -> bool {
    matches!(
        callee,
        "runpy.run_path"
            | "importlib.machinery.SourceFileLoader"
            | "importlib.machinery.SourcelessFileLoader"
            | "importlib.util.spec_from_file_location"
            | "imp.load_source"
            | "imp.load_compiled"
            | "execfile"
    )
}

/// Methods and functions that run the source they are given, under other names than `exec`.
pub(super) fn interprets(callee: &str) -> bool {
    let Some((module, name)) = callee.rsplit_once('.') else { return false };
    match module {
        "code.InteractiveConsole()" | "code.InteractiveInterpreter()" => {
            matches!(name, "push" | "runsource" | "runcode")
        }
        "timeit" => matches!(name, "timeit" | "repeat"),
        "cProfile" | "profile" | "pdb" => matches!(name, "run" | "runctx" | "runeval"),
        "trace.Trace()" | "bdb.Bdb()" | "pdb.Pdb()" | "cProfile.Profile()" => {
            matches!(name, "run" | "runctx" | "runeval")
        }
        _ => false,
    }
}

/// Functions of libraries that are called through `ctypes`.
fn native(callee: &str) -> Power {
    let name = callee.strip_suffix("\"]").and_then(|callee| callee.rsplit_once("[\"")).map(|(_, name)| name);
    let name = name.or_else(|| callee.rsplit_once('.').map(|(_, name)| name)).unwrap_or("");
    match name {
        "system" | "popen" | "execl" | "execlp" | "execv" | "execve" | "execvp" | "posix_spawn"
        | "posix_spawnp" | "WinExec" | "ShellExecuteA" | "ShellExecuteW" | "CreateProcessA"
        | "CreateProcessW" => Power::Runs,
        "VirtualAlloc"
        | "VirtualProtect"
        | "CreateThread"
        | "CreateRemoteThread"
        | "RtlMoveMemory"
        | "mprotect"
        | "PyRun_SimpleString"
        | "PyRun_SimpleStringFlags" => Power::Evaluates,
        _ => Power::Computes,
    }
}

/// Functions that call another one they are given, with arguments they are given.
pub(super) fn calls_back(callee: &str) -> bool {
    matches!(
        callee.rsplit('.').next().unwrap_or(""),
        "Thread"
            | "Process"
            | "Timer"
            | "partial"
            | "submit"
            | "map"
            | "starmap"
            | "imap"
            | "map_async"
            | "apply"
            | "apply_async"
            | "filter"
            | "reduce"
            | "accumulate"
            | "sorted"
            | "register"
            | "finalize"
            | "call_soon"
            | "call_later"
            | "run_in_executor"
            | "to_thread"
            | "start_new_thread"
            | "call_tracing"
    )
}

/// Whether a method or function of this name writes the file it is given.
pub(super) fn writes(callee: &str) -> bool {
    matches!(
        callee.rsplit('.').next().unwrap_or(""),
        "write_text"
            | "write_bytes"
            | "copy"
            | "copy2"
            | "copyfile"
            | "move"
            | "rename"
            | "replace"
            | "symlink_to"
            | "symlink"
            | "urlretrieve"
    )
}

/// Whether a function writes a file whatever it belongs to; others of these names are methods of texts and tables too.
pub(super) fn surely_writes(callee: &str) -> bool {
    callee.ends_with(".write_text")
        || callee.ends_with(".write_bytes")
        || callee.ends_with(".symlink_to")
        || callee.starts_with("shutil.")
        || matches!(callee, "os.rename" | "os.replace" | "os.symlink" | "os.link")
}

/// Functions that give back what was hidden in their argument.
pub(super) fn decodes(callee: &str) -> bool {
    let last = callee.rsplit('.').next().unwrap_or("");
    matches!(
        callee,
        "base64.b64decode"
            | "base64.b32decode"
            | "base64.b16decode"
            | "base64.b85decode"
            | "base64.a85decode"
            | "base64.urlsafe_b64decode"
            | "base64.standard_b64decode"
            | "base64.decodebytes"
            | "binascii.unhexlify"
            | "binascii.a2b_base64"
            | "binascii.a2b_hex"
            | "bytes.fromhex"
            | "bytearray.fromhex"
            | "zlib.decompress"
            | "gzip.decompress"
            | "bz2.decompress"
            | "lzma.decompress"
            | "zlib.decompressobj().decompress"
            | "bz2.BZ2Decompressor().decompress"
            | "lzma.LZMADecompressor().decompress"
            | "marshal.loads"
            | "codecs.decode"
    ) || last == "decrypt"
}
