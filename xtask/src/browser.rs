//! The pages in a real browser: headless Chromium.
//!
//! * the report, opened from disk: every figure is laid out, nothing is asked of the
//!   network, and a picture is taken at each width and colour scheme;
//! * the live pages of `tidegauge serve`, with a filter.
//!
//! Pictures land in `target/pages/` for people to look at.
//!
//! **Invariant:** a missing browser is a failure, not a skip: where the machine allows it,
//! Debian's package is installed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::run::{Outcome, run, say, target};

/// Names under which Chromium is installed.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Flags for a browser that talks to nobody but us.
const QUIET: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=NetworkTimeServiceQuerying,OptimizationHints",
    "--hide-scrollbars",
    "--virtual-time-budget=4000",
];

/// Widths and heights of the pictures: a desktop and a phone.
const SIZES: &[(&str, &str)] = &[("desktop", "1280,9000"), ("phone", "500,12000")];

/// A picture of a page with text and figures is never smaller, in bytes.
const PICTURE_BYTES_MIN: u64 = 40_000;

/// Looks at the report in `demo` and at the live pages over its lake.
pub(crate) fn look(binary: &str, demo: &str) -> Outcome {
    let browser = Browser::find()?;
    let report = Path::new(demo).join("report/index.html");
    let report =
        fs::canonicalize(&report).map_err(|e| format!("{}: {e}", report.display()))?;
    look_at_report(&browser, &report)?;
    look_at_live_pages(&browser, binary, demo)?;
    say(&format!("browser: pictures in {}", browser.pictures.display()));
    Ok(())
}

fn look_at_report(browser: &Browser, report: &Path) -> Outcome {
    let url = format!("file://{}", report.display());
    let dom = browser.dom(&url)?;
    let figures = dom.matches("<figure").count();
    if figures < 6 {
        return Err(format!("{url}: only {figures} figures are laid out"));
    }
    for words in ["visibility not separated from usage", "Synthetic", "Method"] {
        if !dom.to_lowercase().contains(&words.to_lowercase()) {
            return Err(format!("{url}: does not say `{words}`"));
        }
    }
    for (name, size) in SIZES {
        browser.picture(&url, &format!("report-{name}-light"), size, false)?;
        browser.picture(&url, &format!("report-{name}-dark"), size, true)?;
    }
    Ok(())
}

fn look_at_live_pages(browser: &Browser, binary: &str, demo: &str) -> Outcome {
    let lake = Path::new(demo).join("lake");
    let lake = lake.to_str().ok_or("the lake's path is not UTF-8")?;
    let mut server = Server::start(binary, lake)?;
    let looked = server.address().and_then(|address| {
        let front = browser.dom(&format!("{address}/"))?;
        let us = browser.dom(&format!("{address}/?country=US"))?;
        if front == us {
            return Err(
                "the live page with country=US is the same as without".to_owned()
            );
        }
        if !us.contains("<svg") {
            return Err("the live page has no figure".to_owned());
        }
        for (name, size) in SIZES {
            let page = format!("{address}/?country=US");
            browser.picture(&page, &format!("live-{name}-light"), size, false)?;
        }
        Ok(())
    });
    server.stop();
    looked
}

struct Browser {
    program: String,
    pictures: PathBuf,
}

impl Browser {
    fn find() -> Result<Self, String> {
        if installed().is_none() {
            say("browser: none is installed; asking Debian for chromium");
            run("apt-get", &["update", "--quiet"])?;
            run("apt-get", &["install", "--yes", "--quiet", "chromium"])?;
        }
        let program = installed().ok_or("no chromium, and none could be installed")?;
        let pictures = target().join("pages");
        fs::create_dir_all(&pictures)
            .map_err(|e| format!("{}: {e}", pictures.display()))?;
        Ok(Self { program: program.to_owned(), pictures })
    }

    /// The page as the browser laid it out, scripts run. Fails if the page asked the
    /// network for anything but itself.
    fn dom(&self, url: &str) -> Result<String, String> {
        let log = self.pictures.join("network.json");
        let log_flag = format!("--log-net-log={}", log.display());
        let output = self.start(url, &["--dump-dom", &log_flag])?;
        let dom = String::from_utf8_lossy(&output).into_owned();
        let network =
            fs::read_to_string(&log).map_err(|e| format!("network log: {e}"))?;
        match foreign_request(&network, url) {
            Some(foreign) => Err(format!("{url} asked the network for {foreign}")),
            None => Ok(dom),
        }
    }

    fn picture(&self, url: &str, name: &str, size: &str, dark: bool) -> Outcome {
        let path = self.pictures.join(format!("{name}.png"));
        let shot = format!("--screenshot={}", path.display());
        let window = format!("--window-size={size}");
        let scheme =
            format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
        self.start(url, &[&shot, &window, &scheme])?;
        let bytes =
            fs::metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?.len();
        if bytes < PICTURE_BYTES_MIN {
            return Err(format!("{}: {bytes} bytes, an empty page", path.display()));
        }
        Ok(())
    }

    fn start(&self, url: &str, flags: &[&str]) -> Result<Vec<u8>, String> {
        let profile = self.pictures.join("profile");
        let mut command = Command::new(&self.program);
        command.args(QUIET).arg(format!("--user-data-dir={}", profile.display()));
        let output = command.args(flags).arg(url).stderr(Stdio::null()).output();
        let output =
            output.map_err(|e| format!("cannot start {}: {e}", self.program))?;
        if !output.status.success() {
            return Err(format!(
                "{} failed on {url} ({})",
                self.program, output.status
            ));
        }
        Ok(output.stdout)
    }
}

fn installed() -> Option<&'static str> {
    let answers = |name: &&&str| {
        let mut command = Command::new(name);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    NAMES.iter().find(answers).copied()
}

/// The first request in a Chromium network log that a page made elsewhere than to its own
/// scheme and host. The log has an event a line; what the browser asks for on its own
/// account (and the page itself) has no origin as its initiator.
fn foreign_request(network: &str, page: &str) -> Option<String> {
    let own = page.split('/').take(3).collect::<Vec<_>>().join("/");
    let by_a_page = |line: &&str| {
        line.contains("\"initiator\":\"")
            && !line.contains("\"initiator\":\"not an origin\"")
    };
    network
        .lines()
        .filter(by_a_page)
        .filter_map(|line| line.split("\"url\":\"").nth(1)?.split('"').next())
        .find(|url| url.starts_with("http") && !url.starts_with(&own))
        .map(str::to_owned)
}

/// A running `tidegauge serve`; stopped when dropped.
struct Server(Child);

impl Server {
    fn start(binary: &str, lake: &str) -> Result<Self, String> {
        let arguments = ["--lake", lake, "serve", "--listen", "127.0.0.1:0"];
        let mut command = Command::new(binary);
        let child = command.args(arguments).stderr(Stdio::piped()).spawn();
        child.map(Self).map_err(|e| format!("cannot start the server: {e}"))
    }

    /// Waits for the line that tells the address.
    fn address(&mut self) -> Result<String, String> {
        let words = self.0.stderr.take().ok_or("the server's words are piped")?;
        let mut lines = BufReader::new(words).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let at = line.find("http://")?;
            line.get(at..)?.split_whitespace().next().map(str::to_owned)
        });
        // Keep reading, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        address
            .map(|a| a.trim_end_matches('/').to_owned())
            .ok_or_else(|| "the server ended without telling its address".to_owned())
    }

    fn stop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        if let Err(error) = ended {
            say(&format!("browser: the server would not stop: {error}"));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_elsewhere_is_found() {
        let log = r#"
{"params":{"initiator":"not an origin","url":"http://clock.example/"}},
{"params":{"initiator":"file://","url":"file:///a/x.css"}},
{"params":{"initiator":"file://","url":"https://cdn.example/x.js"}},"#;
        let found = foreign_request(log, "file:///a/index.html");
        assert_eq!(found.as_deref(), Some("https://cdn.example/x.js"));
        let own = r#"{"initiator":"http://127.0.0.1:8080","url":"http://127.0.0.1:8080/api"}"#;
        assert_eq!(foreign_request(own, "http://127.0.0.1:8080/?a=b"), None);
    }
}
