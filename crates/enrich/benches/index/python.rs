//! `DuckDB` and `pyasn`, where Python has them: they are programs, not crates, so that the
//! table goes to them through files.

use std::fmt::Write as _;
use std::process::Command;

use tidegauge_model::Address;

use super::Outcome;
use super::input::Table;

/// Addresses they are asked: fewer, since they take long.
const ASKED: usize = 1_000_000;

/// Runs `peers.py` and prints what it says; says so where it cannot.
pub(crate) fn measure(table: &Table, addresses: &[Address], v6: bool) -> Outcome<()> {
    let folder =
        std::env::temp_dir().join(format!("tidegauge-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut text = String::from("first,last,asn\n");
    for (first, last, asn) in &table.ranges {
        writeln!(text, "{},{},{asn}", number(*first), number(*last))?;
    }
    std::fs::write(folder.join("ranges.csv"), text)?;
    let mut text = String::new();
    for (bits, length, asn) in table.prefixes() {
        let length = if v6 { length } else { length - 96 };
        writeln!(text, "{}/{length}\t{asn}", Address::from_bits(bits))?;
    }
    std::fs::write(folder.join("prefixes.tsv"), text)?;
    let mut text = String::from("n,address\n");
    for address in addresses.iter().take(ASKED) {
        writeln!(text, "{},{address}", number(*address))?;
    }
    std::fs::write(folder.join("addresses.csv"), text)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/index/peers.py");
    let run = Command::new("python3").arg(script).arg(&folder).output();
    match run {
        Ok(run) if run.status.success() => {
            print!("{}", String::from_utf8_lossy(&run.stdout));
        }
        _ => println!("python3 with duckdb and pyasn is not here: not measured"),
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// IPv4 as its 32 bits, IPv6 as its 128.
fn number(address: Address) -> u128 {
    address.v4().map_or(address.bits(), |v4| u128::from(v4.to_bits()))
}
