//! Chromium, driven over WebDriver: one for each test, with a profile of its own, and gone afterwards.
//!
//! Every wait has a deadline. What the page logged, asked the network for, or threw is kept and can be looked at.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];
/// For anything the browser is asked to do, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// It runs as root in tests, in a container, and must not look for updates.
const OPTIONS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// Where pages of the browser itself are.
const OWN_PAGES: &str = "chrome://";

/// Which program is missing.
pub(crate) fn lacking() -> Option<String> {
    let missing = PROGRAMS.into_iter().find(|name| find(name).is_none());
    missing.map(|name| format!("{name} is not installed"))
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

pub(crate) struct Browser {
    runtime: Runtime,
    client: Client,
    driver: Driver,
    /// Of the profile and the pages.
    folder: tempfile::TempDir,
}

/// The driver process; its end takes along what it started.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.0.id()) {
            // It may have ended by itself.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

impl Browser {
    pub(crate) fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(text)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(text)?;
        let (driver, port) = driver()?;
        let capabilities = capabilities(&folder.path().join("profile"));
        let address = format!("http://127.0.0.1:{port}");
        let connected = async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities);
            tokio::time::timeout(PATIENCE, builder.connect(&address)).await
        };
        let client = runtime.block_on(connected).map_err(text)?.map_err(text)?;
        Ok(Self {
            runtime,
            client,
            driver,
            folder,
        })
    }

    /// Shows a page, and returns when it is there.
    pub(crate) fn show(&self, name: &str, html: &str) -> Result<(), String> {
        let path = self.folder.path().join(format!("{name}.html"));
        std::fs::write(&path, html).map_err(text)?;
        let address = format!("file://{}", path.display());
        self.wait(self.client.goto(&address))
    }

    /// What a function's body returns in the page.
    pub(crate) fn run(&self, body: &str) -> Result<Value, String> {
        self.wait(self.client.execute(body, Vec::new()))
    }

    /// A command of the Chrome DevTools Protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Result<Value, String> {
        self.vendor(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    /// Nothing was logged, refused or asked for but the pages themselves. What the browser's own start page does is not
    /// of interest.
    pub(crate) fn is_content(&self) -> Result<(), String> {
        for entry in self.log("browser")? {
            let message = entry["message"].as_str().unwrap_or_default();
            if !message.starts_with(OWN_PAGES) {
                return Err(format!("the console says {entry}"));
            }
        }
        let mut asked = HashSet::new();
        for entry in self.log("performance")? {
            let message = entry["message"].as_str().unwrap_or_default();
            let message: Value = serde_json::from_str(message).map_err(text)?;
            judge(&message["message"], &mut asked)?;
        }
        // Else the log is not what it is taken for.
        if asked.is_empty() {
            return Err("no page was asked for".to_owned());
        }
        Ok(())
    }

    fn log(&self, of: &str) -> Result<Vec<Value>, String> {
        let log = self.vendor("se/log", &json!({ "type": of }))?;
        let log = log.as_array().ok_or("the driver keeps no log")?;
        Ok(log.clone())
    }

    fn vendor(&self, path: &str, body: &Value) -> Result<Value, String> {
        let command = Vendor {
            path: path.to_owned(),
            body: body.to_string(),
        };
        self.wait(self.client.issue_cmd(command))
    }

    fn wait<T, E: std::fmt::Display>(
        &self,
        done: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        let limited = async { tokio::time::timeout(PATIENCE, done).await };
        self.runtime.block_on(limited).map_err(text)?.map_err(text)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with the session; if it cannot, the profile goes all the same.
        let closed = self.wait(self.client.clone().close());
        if let Err(problem) = closed {
            eprintln!(
                "the browser {} did not close: {problem}",
                self.driver.0.id()
            );
        }
    }
}

/// One event of the network; `asked` are the requests of our pages.
fn judge(event: &Value, asked: &mut HashSet<String>) -> Result<(), String> {
    let parameters = &event["params"];
    let address = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = address(&parameters["requestId"]);
    match event["method"].as_str() {
        Some("Network.requestWillBeSent")
            if address(&parameters["documentURL"]).starts_with("file://") =>
        {
            let wanted = address(&parameters["request"]["url"]);
            if wanted != address(&parameters["documentURL"]) {
                return Err(format!("the page asks for {wanted}"));
            }
            asked.insert(id);
        }
        Some("Network.loadingFailed") if asked.contains(&id) => {
            return Err(format!("a request failed: {parameters}"));
        }
        _ => {}
    }
    Ok(())
}

/// An endpoint of the driver's own.
#[derive(Debug)]
struct Vendor {
    path: String,
    body: String,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.clone()))
    }
}

fn capabilities(profile: &Path) -> serde_json::Map<String, Value> {
    let profile = format!("--user-data-dir={}", profile.display());
    let options: Vec<&str> = OPTIONS.into_iter().chain([profile.as_str()]).collect();
    let all = json!({
        "goog:chromeOptions": { "args": options, "binary": find(PROGRAMS[0]) },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    });
    all.as_object().cloned().unwrap_or_default()
}

/// The driver, and the port it chose and prints.
fn driver() -> Result<(Driver, u16), String> {
    let mut command = Command::new(PROGRAMS[1]);
    command
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let child = command.process_group(0).spawn().map_err(text)?;
    let mut driver = Driver(child);
    let output = driver.0.stdout.take().ok_or("the driver has no output")?;
    let (sender, port) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(output).lines();
        for line in lines.map_while(Result::ok) {
            let number = line.split("on port ").nth(1);
            let number = number.and_then(|rest| rest.trim_end_matches('.').parse().ok());
            if let Some(number) = number.filter(|number| *number != 0) {
                // Nobody listens once the port is known; reading on keeps the driver from blocking.
                let _ = sender.send(number);
            }
        }
    });
    let port = port.recv_timeout(PATIENCE);
    Ok((
        driver,
        port.map_err(|error| format!("the driver told no port: {error}"))?,
    ))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
