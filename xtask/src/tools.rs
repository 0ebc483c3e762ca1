//! Programs of the field that tests hold ours against.
//!
//! **Invariant:** their absence fails nothing: each test that needs one says that it was
//! skipped.

use std::path::Path;

use crate::run::{run, say};

/// A program, and the package of Debian that has it.
const TOOLS: &[(&str, &str)] = &[
    ("/usr/bin/nfcapd", "nfdump"),
    ("/usr/bin/sfcapd", "nfdump-sflow"),
    ("/usr/sbin/softflowd", "softflowd"),
    ("/usr/sbin/pmacctd", "pmacct"),
    ("/usr/bin/tshark", "tshark"),
    ("/usr/bin/dnstap-read", "bind9-dnsutils"),
];

/// Asks Debian for those that are not there.
pub(crate) fn install() {
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
