//! Chromium, asked from the command line for the document it makes of a page: one run for each question, with a profile of its own.
//!
//! A probe runs in the page once all is there, and what it returns is read back. The page's own policy stays in force for everything
//! else, and whatever the console says is a failure.

use std::process::Command;

use serde_json::Value;

const PROGRAM: &str = "chromium";
/// It runs as root in tests, in a container, and must not look for updates.
const OPTIONS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
];

/// What the page is looked at with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    Light,
    Dark,
    /// As a frame: no window is as narrow.
    Phone,
}

/// Which program is missing.
pub(crate) fn lacking() -> Option<String> {
    let found = Command::new(PROGRAM).arg("--version").output();
    found.err().map(|error| format!("{PROGRAM}: {error}"))
}

/// What a function's body returns in the page.
pub(crate) fn ask(html: &str, screen: Screen, probe: &str) -> Result<Value, String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("page.html"), probed(html, probe)).map_err(text)?;
    std::fs::write(path("phone.html"), PHONE).map_err(text)?;
    let (page, options): (_, &[&str]) = match screen {
        Screen::Light => ("page.html", &["--window-size=1200,900"]),
        Screen::Dark => (
            "page.html",
            &["--window-size=1200,900", "--force-dark-mode"],
        ),
        Screen::Phone => ("phone.html", &["--window-size=1200,900"]),
    };
    let mut command = Command::new(PROGRAM);
    command.args(OPTIONS).args(options).arg("--dump-dom");
    command.arg(format!("--user-data-dir={}", path("profile").display()));
    command.arg(format!("file://{}", path(page).display()));
    let output = command.output().map_err(text)?;
    let console = String::from_utf8_lossy(&output.stderr);
    if let Some(line) = console.lines().find(|line| line.contains(":CONSOLE:")) {
        return Err(format!("the console says {line}"));
    }
    let document = String::from_utf8_lossy(&output.stdout);
    let seen = document.split_once("<pre id=\"seen\">");
    let seen = seen.and_then(|(_, rest)| rest.split_once("</pre>"));
    let Some((seen, _)) = seen else {
        return Err(format!("{} and no answer: {console}", output.status));
    };
    let plain = seen.replace("&lt;", "<").replace("&gt;", ">");
    serde_json::from_str(&plain.replace("&nbsp;", "\u{a0}").replace("&amp;", "&")).map_err(text)
}

/// The page with a script that runs the probe, and that its policy lets in.
fn probed(html: &str, probe: &str) -> String {
    let html = html.replacen("script-src ", "script-src 'nonce-probe' ", 1);
    let script = format!(
        "<script nonce=\"probe\">{{
            const seen = JSON.stringify((() => {{ {probe} }})());
            if (parent !== window) parent.postMessage(seen, '*');
            else {{
                const told = document.createElement('pre');
                told.id = 'seen';
                told.textContent = seen;
                document.body.replaceChildren(told);
            }}
        }}</script></body>"
    );
    html.replacen("</body>", &script, 1)
}

/// Around a page that is as wide as a phone.
const PHONE: &str = "<!DOCTYPE html><body><pre id='seen'></pre><script>
    addEventListener('message', (event) => { document.querySelector('#seen').textContent = event.data; });
    </script><iframe src='page.html' width='360' height='780' style='border: 0'></iframe></body>";

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
