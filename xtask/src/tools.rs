//! Programs of the field that tests hold ours against.
//!
//! **Invariant:** their absence fails nothing: each test that needs one says that it was
//! skipped.

use std::fs;
use std::path::Path;

use crate::run::{root, run, say, target};

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

/// Installs what `xtask/python.txt` names, once; tests find it beside the programs.
fn python() {
    let list = root().join("xtask/python.txt");
    let folder = target().join("python");
    let done = folder.join("installed.txt");
    let wanted = fs::read(&list).unwrap_or_default();
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return;
    }
    let (Some(list), Some(into)) = (list.to_str(), folder.to_str()) else { return };
    say("asking the index of Python for what tests compare with");
    let quiet =
        ["--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1"];
    let words =
        [&["-m", "pip", "install"][..], &quiet, &["--target", into, "-r", list]];
    let asked = run("python3", &words.concat());
    if let Err(error) = asked {
        say(&format!("{error}: tests that need them will say that they were SKIPPED"));
    } else if let Err(error) = fs::write(&done, wanted) {
        say(&format!("{}: {error}", done.display()));
    }
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
