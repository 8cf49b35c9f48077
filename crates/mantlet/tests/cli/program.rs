//! Runs the built program and reads what it says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// The program with these arguments; nothing on standard input.
pub fn mantlet<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mantlet"));
    command.args(arguments).stdin(Stdio::null()).env_remove("MANTLET_LOG").env("NO_COLOR", "1");
    command
}

/// What a finished run left.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs to the end.
pub fn run<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Ran {
    ran(&mantlet(arguments).output().unwrap())
}

/// Runs to the end and expects this exit code.
pub fn expect<I: AsRef<std::ffi::OsStr>>(code: i32, arguments: impl IntoIterator<Item = I>) -> Ran {
    let ran = run(arguments);
    assert_eq!(ran.code, code, "out: {}\nerr: {}", ran.out, ran.err);
    ran
}

/// Rows of two columns, and a perceptron over them written by the project's own trainer; a turned one says the other
/// class of everything.
pub fn credit(turned: bool) -> (String, Vec<u8>) {
    let mut csv = String::from("income,debt,class\n");
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for row in 0..300_u32 {
        let income = f64::from(row % 30) / 30.0;
        let debt = f64::from((row * 7) % 30) / 30.0;
        let class = usize::from(income > debt) ^ usize::from(turned);
        csv.push_str(&format!("{income},{debt},{class}\n"));
        x.extend([income as f32, debt as f32]);
        y.push(class);
    }
    let x = mantlet_vocab::Tensor::new(vec![300, 2], x).unwrap();
    let training = mantlet_learn::Training { epochs: 20, seed: 3, ..Default::default() };
    let network = mantlet_learn::train(
        &mantlet_learn::Architecture::Mlp { hidden: vec![8] },
        &x,
        &y,
        2,
        &training,
        &mut |_| std::ops::ControlFlow::Continue(()),
    )
    .unwrap();
    (csv, network.to_onnx("credit"))
}

/// A folder with a small model, its rows, and a configuration with free ports.
pub struct Folder {
    _holder: TempDir,
    pub path: PathBuf,
}

impl Folder {
    /// A perceptron over two columns, written by the project's own trainer.
    pub fn with_model() -> Self {
        let holder = tempfile::tempdir().unwrap();
        let path = holder.path().join("credit");
        std::fs::create_dir(&path).unwrap();
        let (csv, network) = credit(false);
        std::fs::write(path.join("model.onnx"), network).unwrap();
        std::fs::write(path.join("train.csv"), csv).unwrap();
        let folder = Self { _holder: holder, path };
        expect(
            0,
            [
                "init",
                folder.text(),
                "--decides",
                "who gets credit",
                "--endpoint",
                "built-in",
                "--notify",
                "nobody",
                "--impact",
                "low",
            ],
        );
        folder.edit(|text| {
            text.replace("127.0.0.1:8480", "127.0.0.1:0").replace("127.0.0.1:8481", "127.0.0.1:0")
        });
        folder
    }

    pub fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub fn edit(&self, change: impl FnOnce(String) -> String) {
        let file = self.path.join("mantlet.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, change(text)).unwrap();
    }
}

/// `mantlet up`, running.
pub struct Up {
    pub child: Child,
    pub said: Value,
}

impl Up {
    pub fn start(folder: &Path) -> Self {
        Self::start_role(folder, "all")
    }

    /// `mantlet up --role ROLE`.
    pub fn start_role(folder: &Path, role: &str) -> Self {
        let mut child = mantlet(["up", folder.to_str().unwrap(), "--format", "json", "--role", role])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut text = String::new();
            child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            panic!("up ended: {text}");
        }
        Self { child, said: serde_json::from_str(&line).unwrap() }
    }

    pub fn address(&self, what: &str) -> String {
        self.said[what].as_str().unwrap().trim_start_matches("http://").to_owned()
    }

    /// Status and body of one inference with this key.
    pub fn infer(&self, model: &str, key: &str, body: &str) -> (u16, String) {
        http(
            &self.address("gateway"),
            &format!(
                "POST /v2/models/{model}/infer HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            ),
        )
    }

    /// Ends it as an operator does.
    pub fn interrupt(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request, one answer.
pub fn http(address: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
