//! A small W3C WebDriver client over chromedriver, which drives a headless Chromium.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::web::ask;

pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A chromedriver process; ended when dropped.
pub(crate) struct Driver {
    child: Child,
    addr: SocketAddr,
}

impl Driver {
    /// Starts chromedriver on a free port; `None` when it or Chromium is not installed.
    pub(crate) fn start() -> Option<Self> {
        let there = |name: &str| {
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status()
        };
        if !there("chromium").is_ok_and(|status| status.success()) {
            return None;
        }
        let spawned =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = spawned.ok()?;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
        })?;
        Some(Self { child, addr: ([127, 0, 0, 1], port).into() })
    }

    /// A fresh browser with its own profile.
    pub(crate) fn browser(&self, script: bool) -> Browser<'_> {
        let profile = tempfile::tempdir().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            &folder,
        ];
        let prefs = if script {
            json!({})
        } else {
            json!({ "profile.managed_default_content_settings.javascript": 2 })
        };
        let options = json!({ "args": args, "prefs": prefs });
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options, "timeouts": { "script": 20_000 } });
        let answer = self.call("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = answer["sessionId"].as_str().expect("a session").to_owned();
        Browser { driver: self, id, _profile: profile }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, value) = self.try_call(method, path, body);
        assert_eq!(status, 200, "{method} {path} {body}: {value}");
        value
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let answer = ask(self.addr, method, path, &[("Content-Type", "application/json")], &body);
        (answer.status, answer.json()["value"].clone())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Browser<'a> {
    driver: &'a Driver,
    id: String,
    _profile: tempfile::TempDir,
}

impl Browser<'_> {
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.driver.call(method, &format!("/session/{}{path}", self.id), body)
    }

    pub(crate) fn go(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url }));
    }

    pub(crate) fn url(&self) -> String {
        self.call("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    fn find(&self, css: &str) -> String {
        let found = self.call("POST", "/element", &json!({ "using": "css selector", "value": css }));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    pub(crate) fn has(&self, css: &str) -> bool {
        let wanted = json!({ "using": "css selector", "value": css });
        !self.call("POST", "/elements", &wanted).as_array().unwrap().is_empty()
    }

    pub(crate) fn click(&self, css: &str) {
        self.call("POST", &format!("/element/{}/click", self.find(css)), &json!({}));
    }

    /// Clicks something that leads to another page, and waits until the page before is gone.
    pub(crate) fn follow(&self, css: &str) {
        self.leave(|| self.click(css));
    }

    /// Does something that leads to another page, and waits until the page before is gone.
    pub(crate) fn leave(&self, act: impl FnOnce()) {
        let before = self.find("html");
        act();
        let path = format!("/session/{}/element/{before}/name", self.id);
        let start = std::time::Instant::now();
        while self.driver.try_call("GET", &path, &Value::Null).0 == 200 {
            assert!(start.elapsed().as_secs() < 20, "no other page came after {}", self.url());
        }
    }

    pub(crate) fn text(&self, css: &str) -> String {
        self.call("GET", &format!("/element/{}/text", self.find(css)), &Value::Null)
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn write(&self, css: &str, text: &str) {
        self.call("POST", &format!("/element/{}/value", self.find(css)), &json!({ "text": text }));
    }

    /// Keys to whatever has the focus.
    pub(crate) fn keys(&self, text: &str) {
        let keys: Vec<Value> = text
            .chars()
            .flat_map(|c| [json!({ "type": "keyDown", "value": c }), json!({ "type": "keyUp", "value": c })])
            .collect();
        self.call(
            "POST",
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] }),
        );
    }

    /// Runs a script that ends by itself.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Starts a script and waits until it calls its last argument.
    pub(crate) fn wait(&self, script: &str) -> Value {
        self.call("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// A command of the browser's own protocol.
    fn devtools(&self, cmd: &str, params: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", &json!({ "cmd": cmd, "params": params }))
    }

    pub(crate) fn theme(&self, theme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    pub(crate) fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// The whole page as PNG.
    pub(crate) fn picture(&self, file: &str) {
        let shot = self
            .devtools("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": true }));
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        assert!(bytes.len() > 3_000, "{file} is an empty picture");
        std::fs::write(file, bytes).unwrap();
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.id);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.driver.call("DELETE", &path, &Value::Null)
        }));
    }
}
