//! Programs of the field that tests hold ours against.
//!
//! **Invariant:** their absence fails nothing: each test that needs one says that it was
//! skipped.

use std::fs;
use std::path::Path;

use crate::run::{Outcome, root, run, say, target};

/// A program, and the package of Debian that has it.
const TOOLS: &[(&str, &str)] = &[
    ("/usr/bin/nfcapd", "nfdump"),
    ("/usr/bin/sfcapd", "nfdump-sflow"),
    ("/usr/sbin/softflowd", "softflowd"),
    ("/usr/sbin/pmacctd", "pmacct"),
    ("/usr/bin/tshark", "tshark"),
    ("/usr/bin/dnstap-read", "bind9-dnsutils"),
    ("/usr/bin/psql", "postgresql-client"),
    ("/usr/bin/Rscript", "r-base-core"),
];

/// Asks Debian, and the index of Python, for those that are not there.
pub(crate) fn install() {
    debian();
    python();
}

/// Installs what `xtask/python.txt` names; tests find it beside the programs.
fn python() {
    if let Err(error) = packages("xtask/python.txt", "python") {
        say(&format!("{error}: tests that need them will say that they were SKIPPED"));
    }
}

/// Installs the packages of Python that a file of the tree lists into a folder under
/// `target`, once.
pub(crate) fn packages(list: &str, into: &str) -> Outcome {
    let (list, folder) = (root().join(list), target().join(into));
    let failed = |path: &Path, e| format!("{}: {e}", path.display());
    let done = folder.join("installed.txt");
    let wanted = fs::read(&list).map_err(|e| failed(&list, e))?;
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let (Some(list), Some(into)) = (list.to_str(), folder.to_str()) else {
        return Err(format!("{}: not UTF-8", folder.display()));
    };
    say("asking the index of Python for what ours is compared with");
    let quiet =
        ["--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1"];
    let words =
        [&["-m", "pip", "install"][..], &quiet, &["--target", into, "-r", list]];
    run("python3", &words.concat())?;
    fs::write(&done, wanted).map_err(|e| failed(&done, e))
}

fn debian() {
    let absent = TOOLS.iter().filter(|(program, _)| !Path::new(program).exists());
    let packages: Vec<&str> = absent.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return;
    }
    say(&format!(
        "asking Debian for {}, which tests compare with",
        packages.join(", ")
    ));
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(packages);
    let asked = run("apt-get", &["update", "--quiet"])
        .and_then(|()| run("apt-get", &arguments));
    if let Err(error) = asked {
        say(&format!("{error}: tests that need them will say that they were SKIPPED"));
    }
}
