//! The pages in a real browser: Chromium, driven by `xtask/browser/look.mjs`.
//!
//! * the report, opened from disk;
//! * every page of the observatory, served over the demo's lake, and those of
//!   organisations and of findings, served for the operator;
//! * the page to log in, and logging in.
//!
//! Each at two widths, light and dark: it complains of nothing, asks for nothing elsewhere,
//! is not pushed sideways, breaks no rule of axe, and can be used with the keyboard alone.
//! Pictures land in `target/pages/` for people to look at.
//!
//! **Invariant:** a missing browser is a failure, not a skip: where the machine allows it,
//! Debian's packages are installed.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::run::{Outcome, output, root, run, say, target};

/// Names under which Chromium is installed.
const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// What drives it, as it lies in `xtask/browser`.
const DRIVER: &[&str] = &[
    "package.json",
    "package-lock.json",
    ".npmrc",
    "look.mjs",
    "layout.mjs",
    "keyboard.mjs",
    "files.mjs",
    "form.mjs",
    "print.mjs",
    "wrong.html",
];

/// What must be found on the page that has faults on purpose: a check that never fails
/// checks nothing.
const FAULTS: &[&str] = &[
    "asks for http://127.0.0.1:1/",
    "console: a complaint",
    "script: a broken script",
    "does not say “synthetic”",
    "2 figures, not 3 or more",
    "“leaves it” leaves the drawing",
    "“one two” lies over “three”",
    "figure none: 0 drawings",
    "px wide on a screen of 320",
    "axe color-contrast",
    "axe html-has-lang",
    "axe image-alt",
    "keyboard: a “Skip” shows no focus",
    "keyboard: button “Not reached” is not reached",
    "keyboard: the skip link does not lead to the content",
    "absent.svg is absent",
    "printed: div.wide leaves the sheet",
    "printed: button. is of no use there",
    "printed: h1. is pale",
    "printed: figure#texts is 1200 px high",
];

/// A page of the observatory.
struct Page {
    name: &'static str,
    /// Its address, or that of the page which links to it.
    path: &'static str,
    /// If not empty: it is the first link of `path` that begins so.
    first: &'static str,
    /// The fewest figures it has.
    figures: u8,
    /// What else is tried on it, as JSON.
    also: &'static str,
    /// What the server answers with.
    status: u16,
}

const fn page(name: &'static str, path: &'static str, figures: u8) -> Page {
    Page { name, path, first: "", figures, also: "", status: 200 }
}

const fn first(name: &'static str, path: &'static str, first: &'static str) -> Page {
    Page { name, path, first, figures: 0, also: "", status: 200 }
}

/// What everybody may see.
const PUBLIC: &[Page] = &[
    page("front", "/", 3),
    page("products", "/products", 0),
    Page {
        also: "\"downloads\",\"print\"",
        ..first("product", "/products", "/products/")
    },
    page("countries", "/countries", 1),
    first("country", "/countries", "/countries/"),
    page("sectors", "/sectors", 0),
    first("sector", "/sectors", "/sectors/"),
    page("policies", "/policies", 0),
    page("compare", "/compare", 1),
    page("compare-products", "/compare?what=products", 1),
    Page { also: "\"form\"", ..page("explore", "/explore", 2) },
    page("quality", "/quality", 1),
    page("releases", "/releases", 0),
    first("release", "/releases", "/releases/"),
    page("methods", "/methods", 0),
    Page { also: "\"downloads\"", ..page("about", "/about", 0) },
    page("figure", "/figures/over-time", 1),
    Page { status: 404, ..page("nowhere", "/products/nowhere", 0) },
    // Last, because it is worked out while the others are looked at; linked from the
    // comparison are those acts that can be.
    first("act", "/compare", "/policies/"),
];

/// What the operator alone may see.
const INTERNAL: &[Page] = &[
    page("organisations", "/organisations", 0),
    first("organisation", "/organisations", "/organisations/"),
    page("exposure", "/exposure", 0),
    first("finding", "/exposure", "/exposure/"),
];

/// What is looked for in the demo's world: organisations of it, and one that is not.
const PORTFOLIO: &str = "\
name,kind,organisations,prefixes,tier,parent,tags
Head office,asset,syn:us-00000,,1,,office
Works,asset,syn:us-00001,,1,,dmz
Acme Hosting,supplier,syn:us-00002,,2,,
Their subcontractor,supplier,syn:de-00000,,3,Acme Hosting,
Elsewhere,supplier,,203.0.113.0/24,3,,
";

/// Looks at the report in `demo` and at the served pages over its lake.
pub(crate) fn look(binary: &str, demo: &str) -> Outcome {
    let browser = Browser::find()?;
    let report = Path::new(demo).join("report/index.html");
    let report =
        fs::canonicalize(&report).map_err(|e| format!("{}: {e}", report.display()))?;
    let report = format!(
        "{{\"name\":\"report\",\"address\":\"file://{}\",\"figures\":6,\"says\":[{}],\
         \"also\":[\"files\",\"print\"]}}",
        escaped(&report.display().to_string()),
        "\"visibility not separated from usage\",\"synthetic\",\"method\""
    );
    let wrong = browser.wrong();
    let lake = Path::new(demo).join("lake");
    let lake = lake.to_str().ok_or("the lake's path is not UTF-8")?;
    let public = Server::start(binary, lake, &[])?;
    let listed = listed(&public.address, PUBLIC);
    browser.look(&[vec![wrong, report], listed].concat())?;
    drop(public);
    let ours = made("browser")?.join("ours.csv");
    fs::write(&ours, PORTFOLIO).map_err(|e| format!("{}: {e}", ours.display()))?;
    let ours = ours.to_str().ok_or("the path of target/ is not UTF-8")?;
    run(binary, &["--lake", lake, "exposure", "--portfolio", ours])?;
    let internal = Server::start(binary, lake, &["--internal", "--portfolio", ours])?;
    browser.look(&self::listed(&internal.address, INTERNAL))?;
    drop(internal);
    look_at_login(&browser, binary, lake)
}

/// Looks at the page to log in, and logs in.
fn look_at_login(browser: &Browser, binary: &str, lake: &str) -> Outcome {
    let tokens = made("browser")?.join("tokens.toml");
    match fs::remove_file(&tokens) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {e}", tokens.display()));
        }
        _ => {}
    }
    let tokens = tokens.to_str().ok_or("the path of target/ is not UTF-8")?;
    let make = ["serve", "token", "look", "--clearance", "reader", "--tokens", tokens];
    let token = output(binary, &make)?;
    let server = Server::start(binary, lake, &["--tokens", tokens])?;
    browser.look(&[format!(
        "{{\"name\":\"login\",\"address\":\"{}/login\",\"says\":[\"token\"],\
         \"also\":[\"login\"],\"token\":\"{}\"}}",
        escaped(&server.address),
        escaped(token.trim())
    )])
}

/// Looks at the pages of a server that runs already, those of the operator among them.
pub(crate) fn look_at(address: &str) -> Outcome {
    let address = address.trim_end_matches('/');
    let browser = Browser::find()?;
    let wrong = vec![browser.wrong()];
    browser.look(&[wrong, listed(address, INTERNAL), listed(address, PUBLIC)].concat())
}

/// The pages of a server, as the driver is told of them.
fn listed(address: &str, pages: &[Page]) -> Vec<String> {
    let one = |page: &Page| {
        let Page { name, path, first, figures, also, status } = page;
        let mut told = format!(
            "{{\"name\":\"{name}\",\"address\":\"{}{path}\",\"figures\":{figures},\
             \"status\":{status},\"until_not\":\"being worked out\",\"also\":[{also}]",
            escaped(address)
        );
        if !first.is_empty() {
            write!(told, ",\"first\":\"{first}\"").expect("a string takes all");
        }
        told + "}"
    };
    pages.iter().map(one).collect()
}

/// For a text of JSON.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A browser, and the folder with what drives it.
struct Browser {
    chromium: &'static str,
    driver: PathBuf,
    pictures: PathBuf,
}

impl Browser {
    fn find() -> Result<Self, String> {
        let chromium = wanted(CHROMIUM, "chromium")?;
        wanted(&["node"], "nodejs")?;
        wanted(&["npm"], "npm")?;
        let pictures = made("pages")?;
        let driver = made("browser")?;
        install(&driver)?;
        Ok(Self { chromium, driver, pictures })
    }

    /// The page with faults on purpose.
    fn wrong(&self) -> String {
        let faults: Vec<String> =
            FAULTS.iter().map(|fault| format!("\"{}\"", escaped(fault))).collect();
        format!(
            "{{\"name\":\"wrong\",\"address\":\"file://{}\",\"figures\":3,\"says\":\
             [\"synthetic\"],\"also\":[\"files\",\"print\"],\"wrong\":[{}]}}",
            escaped(&self.driver.join("wrong.html").display().to_string()),
            faults.join(",")
        )
    }

    /// Starts the driver; its findings go to people.
    fn look(&self, pages: &[String]) -> Outcome {
        let plan = format!(
            "{{\"chromium\":\"{}\",\"pictures\":\"{}\",\"pages\":[\n{}\n]}}\n",
            path_of(self.chromium)?,
            escaped(&self.pictures.display().to_string()),
            pages.join(",\n")
        );
        let at = self.driver.join("plan.json");
        fs::write(&at, plan).map_err(|e| format!("{}: {e}", at.display()))?;
        let script = self.driver.join("look.mjs");
        run("node", &[&script.to_string_lossy(), &at.to_string_lossy()])
            .map_err(|e| format!("browser: the pages are not as they must be: {e}"))?;
        say(&format!("browser: pictures in {}", self.pictures.display()));
        Ok(())
    }
}

/// The first of `names` that is installed; if none is, Debian's `package` is asked for.
fn wanted(
    names: &'static [&'static str],
    package: &str,
) -> Result<&'static str, String> {
    let installed = || names.iter().find(|name| path_of(name).is_ok()).copied();
    if let Some(name) = installed() {
        return Ok(name);
    }
    say(&format!("browser: {package} is not installed; asking Debian for it"));
    let asked = run("apt-get", &["update", "--quiet"])
        .and_then(|()| run("apt-get", &["install", "--yes", "--quiet", package]));
    let why = asked.err().unwrap_or_else(|| "the package has none".to_owned());
    installed().ok_or_else(|| {
        format!(
            "the pages are tested in a browser, which needs `{}`: {why} (hint: apt-get \
             install chromium nodejs npm)",
            names.join("` or `")
        )
    })
}

/// Where a program lies among those that can be started by name.
fn path_of(name: &str) -> Result<String, String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    let found = found.ok_or_else(|| format!("no program `{name}`"))?;
    Ok(escaped(&found.display().to_string()))
}

/// Copies the driver out of the tree and installs what it needs beside the copy, unless the
/// same lies there already.
fn install(driver: &Path) -> Outcome {
    let lock = root().join("xtask/browser/package-lock.json");
    let lock =
        fs::read_to_string(&lock).map_err(|e| format!("{}: {e}", lock.display()))?;
    for name in DRIVER {
        let from = root().join("xtask/browser").join(name);
        fs::copy(&from, driver.join(name))
            .map_err(|e| format!("{}: {e}", from.display()))?;
    }
    let mark = driver.join("installed");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let folder = driver.to_str().ok_or("the target folder's path is not UTF-8")?;
    let flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"];
    run("npm", &[&flags[..], &[folder]].concat())
        .map_err(|e| format!("browser: what drives it cannot be installed: {e}"))?;
    fs::write(&mark, lock).map_err(|e| format!("{}: {e}", mark.display()))
}

/// A folder where cargo puts what it builds, by its whole path.
fn made(name: &str) -> Result<PathBuf, String> {
    let folder = target().join(name);
    fs::create_dir_all(&folder)
        .and_then(|()| fs::canonicalize(&folder))
        .map_err(|e| format!("{}: {e}", folder.display()))
}

/// A running `tidegauge serve`; stopped when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts it and waits for the line that tells its address.
    fn start(binary: &str, lake: &str, more: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(binary);
        command.args(["--lake", lake, "serve", "--listen", "127.0.0.1:0"]);
        // A browser in a hurry is no stranger to be held back.
        command.args(["--rate", "0"]).args(more);
        let child = command.stderr(Stdio::piped()).spawn();
        let child = child.map_err(|e| format!("cannot start the server: {e}"))?;
        let mut server = Self { child, address: String::new() };
        let words = server.child.stderr.take().ok_or("the server's words are piped")?;
        let mut lines = BufReader::new(words).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let at = line.find("http://")?;
            line.get(at..)?.split_whitespace().next().map(str::to_owned)
        });
        // Keep reading, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.ok_or("the server ended without telling its address")?;
        address.trim_end_matches('/').clone_into(&mut server.address);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            say(&format!("browser: the server would not stop: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_as_json() {
        let told = listed("http://a:1", &[first("act", "/compare", "/policies/")]);
        assert_eq!(
            told,
            ["{\"name\":\"act\",\"address\":\"http://a:1/compare\",\"figures\":0,\
             \"status\":200,\"until_not\":\"being worked out\",\"also\":[],\"first\":\"/policies/\"}"]
        );
        assert_eq!(escaped("a\"b\\"), "a\\\"b\\\\");
    }

    #[test]
    fn the_driver_is_installed_from_the_public_registry_alone() {
        let lock = fs::read_to_string(root().join("xtask/browser/package-lock.json"));
        let lock = lock.expect("it is part of the tree");
        assert!(
            !lock.contains("http"),
            "addresses of archives are left out of the lock"
        );
        assert!(lock.contains("\"integrity\": \"sha512-"));
    }
}
