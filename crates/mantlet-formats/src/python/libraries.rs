//! Functions of libraries that run commands, code or machine code under names of their own.
//!
//! Read off the sources and documentation of the libraries named; where a whole module is there to start programs, its
//! name stands for all of it.

use super::calls::Power;

/// Functions that start programs.
const RUNS: [&str; 42] = [
    "distutils.spawn.spawn",
    "setuptools._distutils.spawn.spawn",
    "numpy.distutils.exec_command.exec_command",
    "numpy.distutils.exec_command.filepath_from_subprocess_output",
    "numpy.f2py.compile",
    "psutil.Popen",
    "pexpect.run",
    "pexpect.runu",
    "pexpect.spawn",
    "pexpect.popen_spawn.PopenSpawn",
    "ptyprocess.PtyProcess.spawn",
    "invoke.run",
    "invoke.Context().run",
    "fabric.Connection().local",
    "fabric.api.local",
    "delegator.run",
    "envoy.run",
    "sarge.run",
    "sarge.capture_stdout",
    "trio.run_process",
    "trio.lowlevel.open_process",
    "anyio.run_process",
    "anyio.open_process",
    "gevent.subprocess.Popen",
    "gevent.subprocess.check_output",
    "gevent.subprocess.call",
    "gevent.subprocess.run",
    "eventlet.green.subprocess.Popen",
    "eventlet.green.os.system",
    "twisted.internet.utils.getProcessOutput",
    "twisted.internet.reactor.spawnProcess",
    "subprocess32.Popen",
    "subprocess32.check_output",
    "docker.from_env().containers.run",
    "docker.DockerClient().containers.run",
    "docker.from_env().containers.create",
    "win32api.ShellExecute",
    "win32process.CreateProcess",
    "_winapi.CreateProcess",
    "_posixsubprocess.fork_exec",
    "webbrowser.BackgroundBrowser",
    "webbrowser.GenericBrowser",
];

/// Functions that run code they are given.
const EVALUATES: [&str; 14] = [
    "ctypes.pythonapi.PyRun_SimpleString",
    "ctypes.pythonapi.PyRun_String",
    "ctypes.pythonapi.PyRun_SimpleFile",
    "distutils.core.run_setup",
    "setuptools._distutils.core.run_setup",
    "torch.utils.cpp_extension.load_inline",
    "cffi.FFI().verify",
    "Cython.Build.Inline.cython_inline",
    "cython.inline",
    "numpy.testing.runstring",
    "zipimport.zipimporter().load_module",
    "zipimport.zipimporter().exec_module",
    "IPython.get_ipython().run_cell",
    "get_ipython().run_cell",
];

/// Functions that load a library of machine code into the process.
const NATIVE: [&str; 22] = [
    "ctypes.CDLL",
    "ctypes.PyDLL",
    "ctypes.WinDLL",
    "ctypes.OleDLL",
    "ctypes.cdll.LoadLibrary",
    "ctypes.windll.LoadLibrary",
    "ctypes.pydll.LoadLibrary",
    "ctypes.LibraryLoader().LoadLibrary",
    "torch.ops.load_library",
    "torch.classes.load_library",
    "torch._C._load_library",
    "numpy.ctypeslib.load_library",
    "np.ctypeslib.load_library",
    "cffi.FFI().dlopen",
    "tensorflow.load_op_library",
    "tensorflow.load_library",
    "tf.load_op_library",
    "imp.load_dynamic",
    "_imp.create_dynamic",
    "importlib.machinery.ExtensionFileLoader",
    "onnxruntime.SessionOptions().register_custom_ops_library",
    "paddle.utils.cpp_extension.load_op_meta_info_and_register_op",
];

/// Functions that talk to another machine.
const NETWORK: [&str; 26] = [
    "multiprocessing.connection.Client",
    "multiprocessing.managers.BaseManager().connect",
    "multiprocessing.managers.SyncManager().connect",
    "xmlrpc.client.ServerProxy",
    "rpyc.connect",
    "rpyc.classic.connect",
    "websocket.create_connection",
    "websockets.connect",
    "websockets.sync.client.connect",
    "telnetlib.Telnet",
    "imaplib.IMAP4_SSL",
    "poplib.POP3_SSL",
    "dns.resolver.resolve",
    "dns.resolver.query",
    "urllib3.request",
    "urllib3.PoolManager().request",
    "pycurl.Curl",
    "mechanize.urlopen",
    "treq.get",
    "treq.post",
    "paramiko.Transport",
    "asyncio.open_connection",
    "smtplib.SMTP_SSL",
    "ftplib.FTP_TLS",
    "http.client.HTTPConnection().request",
    "http.client.HTTPSConnection().request",
];

/// Functions that give back a file which they fetched from a hub or an address.
pub(super) fn fetches(callee: &str) -> bool {
    const NAMES: [&str; 12] = [
        "huggingface_hub.hf_hub_download",
        "huggingface_hub.snapshot_download",
        "huggingface_hub.cached_download",
        "transformers.utils.cached_file",
        "transformers.utils.hub.cached_file",
        "modelscope.snapshot_download",
        "modelscope.hub.snapshot_download.snapshot_download",
        "gdown.download",
        "kagglehub.model_download",
        "kagglehub.dataset_download",
        "torch.hub.download_url_to_file",
        "tensorflow.keras.utils.get_file",
    ];
    NAMES.contains(&callee)
}

/// What a function of this full name can do, where it is one of those above.
pub(super) fn power(callee: &str) -> Option<Power> {
    if RUNS.contains(&callee) {
        return Some(Power::Runs);
    }
    if EVALUATES.contains(&callee) {
        return Some(Power::Evaluates);
    }
    if NATIVE.contains(&callee) {
        return Some(Power::Native);
    }
    if NETWORK.contains(&callee) {
        return Some(Power::Network);
    }
    let (base, name) = callee.rsplit_once('.')?;
    match (base, name) {
        // Every function of `sh` is a program of its name.
        ("sh", _) if name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "contrib" => {
            Some(Power::Runs)
        }
        ("sh.Command()", _) => None,
        // The loops of `asyncio`, whatever made them.
        (_, "subprocess_shell" | "subprocess_exec") if base.ends_with("()") => Some(Power::Runs),
        ("sqlite3.connect()", "load_extension") => Some(Power::Native),
        ("tkinter.Tcl()" | "tkinter.Tk().tk" | "tkinter.Tk()", "eval" | "call") => Some(Power::Runs),
        ("win32com.client.Dispatch()", "Run" | "Exec" | "ShellExecute") => Some(Power::Runs),
        ("pip" | "pip._internal" | "pip._internal.main" | "pip._internal.cli.main", "main" | "_main")
        | ("setuptools.command.easy_install", "main") => Some(Power::Runs),
        ("mmap.mmap()", _) => None,
        _ => None,
    }
}

/// Functions that read a text which they are given as an expression or a program, and are given other texts too: only
/// what a constant says is followed.
pub(super) fn reads_code(callee: &str) -> bool {
    matches!(
        callee,
        "sympy.sympify"
            | "sympy.S"
            | "sympy.parse_expr"
            | "sympy.parsing.sympy_parser.parse_expr"
            | "pandas.eval"
            | "numexpr.evaluate"
            | "typing.ForwardRef"
            | "timeit.Timer"
            | "timeit.timeit"
            | "timeit.repeat"
            | "numpy.testing.runstring"
            | "ctypes.pythonapi.PyRun_SimpleString"
            | "ctypes.pythonapi.PyRun_String"
            | "simpleeval.simple_eval"
            | "asteval.Interpreter()"
            | "torch.jit.CompilationUnit"
            | "code.interact"
            | "bdb.Bdb().run"
    ) || callee.starts_with("pandas.") && (callee.ends_with("().query") || callee.ends_with("().eval"))
}

/// Functions that fill in a template, by the engine they are of.
pub(super) fn templates(callee: &str) -> bool {
    matches!(
        callee,
        "jinja2.Template"
            | "jinja2.Environment().from_string"
            | "jinja2.sandbox.SandboxedEnvironment().from_string"
            | "jinja2.nativetypes.NativeTemplate"
            | "flask.render_template_string"
            | "mako.template.Template"
            | "tornado.template.Template"
            | "bottle.template"
            | "django.template.Template"
    )
}

/// Functions of libraries by which what is loaded is checked, or that load plain data: whoever puts another in their
/// place takes the check away.
pub(super) fn guards(full: &str) -> bool {
    const GUARDS: [&str; 26] = [
        "torch.load",
        "torch.serialization.load",
        "torch.serialization._get_restore_location",
        "torch._weights_only_unpickler.load",
        "torch._weights_only_unpickler.Unpickler",
        "torch._weights_only_unpickler._get_allowed_globals",
        "safetensors.safe_open",
        "safetensors.torch.load_file",
        "safetensors.torch.load",
        "safetensors.numpy.load_file",
        "safetensors.numpy.load",
        "transformers.dynamic_module_utils.resolve_trust_remote_code",
        "transformers.dynamic_module_utils.check_imports",
        "transformers.utils.import_utils.check_torch_load_is_safe",
        "transformers.modeling_utils.load_state_dict",
        "huggingface_hub.utils.validate_repo_id",
        "json.load",
        "json.loads",
        "yaml.safe_load",
        "pickle.Unpickler.find_class",
        "keras.src.saving.serialization_lib.in_safe_mode",
        "keras.saving.serialization_lib.in_safe_mode",
        "ssl._create_default_https_context",
        "jinja2.sandbox.ImmutableSandboxedEnvironment.is_safe_attribute",
        "jinja2.sandbox.SandboxedEnvironment.is_safe_attribute",
        "hmac.compare_digest",
    ];
    GUARDS.contains(&full)
}

/// Variables of the environment by which a library leaves its checks out.
pub(super) fn disarms(name: &str, value: &str) -> bool {
    let on = matches!(value, "1" | "true" | "True" | "TRUE" | "yes");
    let off = matches!(value, "0" | "false" | "False" | "");
    on && matches!(
        name,
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" | "TRUST_REMOTE_CODE" | "HF_HUB_TRUST_REMOTE_CODE"
    ) || off
        && matches!(name, "PYTHONHTTPSVERIFY" | "REQUESTS_CA_BUNDLE" | "CURL_CA_BUNDLE" | "GIT_SSL_VERIFY")
}

/// Whether a text is the dotted name of a function that runs commands or code, as configurations name one.
pub(crate) fn names_power(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix('@').or_else(|| text.strip_prefix('&')).unwrap_or(text);
    let text = text.strip_suffix("()").unwrap_or(text);
    let dotted = text.len() <= 120
        && text.contains(['.', ':'])
        && text.split(['.', ':']).all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
    if !dotted {
        return None;
    }
    let name = super::machine::canonical(&text.replace(':', "."));
    const DELETES: [&str; 5] = ["shutil.rmtree", "os.remove", "os.unlink", "os.removedirs", "shutil.move"];
    let grave = (matches!(super::calls::power(&name), Power::Runs | Power::Evaluates | Power::Native)
        || DELETES.contains(&name.as_str()))
        && !name.starts_with("types.")
        && !name.starts_with("sh.")
        && !name.starts_with("timeit.");
    let named = name.contains('.') || text.starts_with("builtins") || text.starts_with("__builtin");
    (grave && named).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_libraries_are_known_by_their_names() {
        for (name, what) in [
            ("distutils.spawn.spawn", Power::Runs),
            ("asyncio.new_event_loop().subprocess_shell", Power::Runs),
            ("sh.bash", Power::Runs),
            ("torch.ops.load_library", Power::Native),
            ("sqlite3.connect().load_extension", Power::Native),
            ("multiprocessing.connection.Client", Power::Network),
        ] {
            assert_eq!(power(name), Some(what), "{name}");
        }
        assert_eq!(power("distutils.core.setup"), None);
        for text in
            ["os.system", "posix.system", "@subprocess.Popen", "os:popen", "builtins.exec", "pty.spawn()"]
        {
            assert!(names_power(text).is_some(), "{text}");
        }
        for text in
            ["os.path.join", "torch.nn.Linear", "system", "exec", "sh.ipping", "os.system now", "a.b-c"]
        {
            assert_eq!(names_power(text), None, "{text}");
        }
        assert!(guards("torch.load") && !guards("torch.nn.Linear.forward"));
        assert!(disarms("PYTHONHTTPSVERIFY", "0") && !disarms("HF_HOME", "1"));
    }
}
