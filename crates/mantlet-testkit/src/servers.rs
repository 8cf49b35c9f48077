//! Real servers for tests: started on loopback or a socket in a folder of their own, killed when dropped.
//!
//! They are Debian packages that `cargo xtask test` installs; a test that needs one and does not find it fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A free port of this machine.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server process on a port of loopback.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The port.
    pub port: u16,
    folder: Option<TempDir>,
}

impl Server {
    /// Redis without persistence.
    #[must_use]
    pub fn redis() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.arg("--dir").arg(folder.path());
        Self::start(command, port, folder)
    }

    /// Redis that speaks TLS only and asks clients for a certificate of this authority.
    #[must_use]
    pub fn redis_tls(port: u16, certificate: &Path, key: &Path, authority: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--tls-port", &port.to_string(), "--bind", "127.0.0.1", "127.0.0.2"]);
        command.args(["--save", "", "--appendonly", "no", "--tls-auth-clients", "yes"]);
        command.arg("--tls-cert-file").arg(certificate).arg("--tls-key-file").arg(key);
        command.arg("--tls-ca-cert-file").arg(authority).arg("--dir").arg(folder.path());
        Self::start(command, port, folder)
    }

    /// NATS with JetStream that speaks TLS only and asks clients for a certificate of this authority.
    #[must_use]
    pub fn nats_tls(port: u16, certificate: &Path, key: &Path, authority: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("nats-server");
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"]);
        command.arg(folder.path()).arg("--tlsverify").arg("--tlscert").arg(certificate);
        command.arg("--tlskey").arg(key).arg("--tlscacert").arg(authority);
        Self::start(command, port, folder)
    }

    /// NATS with JetStream on a folder.
    #[must_use]
    pub fn nats() -> Self {
        Self::nats_in(tempfile::tempdir().unwrap(), free_port())
    }

    /// nginx in the foreground, by a configuration in which `@PORT@` and `@FOLDER@` are the server's own.
    #[must_use]
    pub fn nginx(configuration: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let text = configuration
            .replace("@PORT@", &port.to_string())
            .replace("@FOLDER@", &folder.path().display().to_string());
        std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).args([
            "-c",
            "nginx.conf",
            "-g",
            "daemon off; master_process off;",
        ]);
        Self::start(command, port, folder)
    }

    fn nats_in(folder: TempDir, port: u16) -> Self {
        let mut command = Command::new("nats-server");
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"]);
        command.arg(folder.path());
        Self::start(command, port, folder)
    }

    fn start(mut command: Command, port: u16, folder: TempDir) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|fault| {
            panic!("{name} does not start ({fault}): install the Debian package, or run `cargo xtask test`")
        });
        let server = Self { child, port, folder: Some(folder) };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{name} did not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Kills it without a chance to say goodbye.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills NATS and starts it again on the same folder and port.
    #[must_use]
    pub fn nats_again(mut self) -> Self {
        self.kill();
        let folder = self.folder.take().unwrap();
        Self::nats_in(folder, self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A PostgreSQL cluster of one's own, reached by a socket in its folder. It does not run as root; then it runs as
/// `nobody`.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    bin: PathBuf,
}

impl Postgres {
    /// Makes a cluster and starts it.
    #[must_use]
    pub fn start() -> Self {
        // A socket's path is short.
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap_or_else(|fault| {
            panic!("no PostgreSQL ({fault}): install the Debian package, or run `cargo xtask test`")
        });
        let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        let bin = versions.pop().unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("nobody").arg(folder.path()).status().unwrap().success());
        }
        let postgres = Self { folder, bin };
        postgres.run(
            "initdb",
            &["-D", &postgres.data(), "-U", "mantlet", "-A", "trust", "-E", "UTF8", "--no-sync"],
        );
        postgres.up();
        postgres
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Starts it again.
    pub fn up(&self) {
        let data = self.data();
        let options =
            format!("-c listen_addresses= -c unix_socket_directories={}", self.folder.path().display());
        self.run("pg_ctl", &["-D", &data, "-w", "-l", &format!("{data}.log"), "-o", &options, "start"]);
    }

    /// Ends it as a power cut does: no shutdown, recovery at the next start.
    pub fn crash(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "nobody", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        assert!(command.status().unwrap().success(), "{arguments:?}");
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://mantlet@localhost/postgres?host={}", self.folder.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A test that failed leaves no server behind either.
        let pid = std::fs::read_to_string(Path::new(&self.data()).join("postmaster.pid"));
        if let Some(pid) = pid.ok().and_then(|text| text.lines().next().map(str::to_owned)) {
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n")
}
