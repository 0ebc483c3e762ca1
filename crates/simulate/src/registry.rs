//! The synthetic registry: two snapshots of who holds which prefix, some of it wrong.
//!
//! **Invariant:** each deviation from the truth is written to the truth folder as well.

use std::path::Path;

use crate::Error;
use crate::consumer::{self, Lease};
use crate::country::COUNTRIES;
use crate::organisation::{self, Entry, Holding, Organisation};
use crate::space::{self, Block};
use crate::world::{self, World};

/// Dates of the snapshots.
pub(crate) const SNAPSHOTS: [&str; 2] = ["2024-01-01", "2024-10-01"];
/// Hosting companies stand in the first so many countries.
pub(crate) const HOSTING_COMPANIES: usize = 3;

/// The provider, by number, that rents prefixes out to organisations.
const LESSOR: usize = 2;

const HEADER: [&str; 9] = [
    "prefix",
    "organisation",
    "name",
    "country",
    "parent",
    "sector",
    "kind",
    "shared",
    "confidence",
];
const ERROR_HEADER: [&str; 5] = ["prefix", "organisation", "error", "first", "second"];

/// What a snapshot says of a prefix.
enum Says<'a> {
    Holder(&'a Organisation),
    Former(&'a Organisation),
    /// The access provider that rents it out.
    Provider,
    Nothing,
}

/// Writes both snapshots, sorted by prefix.
pub(crate) fn write(world: &World, folder: &Path) -> Result<(), Error> {
    for (second, date) in [(false, SNAPSHOTS[0]), (true, SNAPSHOTS[1])] {
        let mut rows = organisations(world, second);
        rows.extend(providers(world));
        rows.sort();
        let path = folder.join(format!("holders-{date}.csv"));
        let rows = rows.into_iter().map(|(_, row)| row);
        table(&path, &HEADER.map(str::to_owned), rows)?;
    }
    Ok(())
}

/// Writes what is wrong with the registry.
pub(crate) fn write_errors(world: &World, path: &Path) -> Result<(), Error> {
    let snapshots = Snapshots::new(world);
    let mut rows = Vec::new();
    for organisation in &world.organisations {
        for holding in &organisation.holdings {
            let error = match holding.entry {
                Entry::Right => continue,
                Entry::Missing { .. } => "missing",
                Entry::Wrong { .. } => "wrong",
                Entry::Stale { .. } => "stale",
                Entry::ProviderHeld => "provider-held",
            };
            let said = |second| match snapshots.says(organisation, *holding, second) {
                Says::Holder(holder) => holder.id(),
                Says::Former(holder) => organisation::former_id(holder.number),
                Says::Provider => provider_id(organisation.country, LESSOR),
                Says::Nothing => String::new(),
            };
            rows.push([
                holding.block.text(),
                organisation.id(),
                error.to_owned(),
                said(false),
                said(true),
            ]);
        }
    }
    table(path, &ERROR_HEADER.map(str::to_owned), rows.into_iter())
}

/// Writes a CSV file.
pub(crate) fn table<const N: usize>(
    path: &Path,
    header: &[String; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), Error> {
    let wrong = |source| Error::Csv { path: path.to_owned(), source };
    let mut writer = csv::Writer::from_path(path).map_err(wrong)?;
    writer.write_record(header).map_err(wrong)?;
    for row in rows {
        writer.write_record(&row).map_err(wrong)?;
    }
    writer.flush().map_err(|source| Error::Write { path: path.to_owned(), source })
}

struct Snapshots<'a> {
    world: &'a World,
    bystanders: Vec<Vec<usize>>,
}

impl<'a> Snapshots<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, bystanders: world::bystanders(&world.organisations) }
    }

    fn says(
        &self,
        organisation: &'a Organisation,
        holding: Holding,
        second: bool,
    ) -> Says<'a> {
        match holding.entry {
            Entry::Missing { later } if !(second && later) => Says::Nothing,
            Entry::Stale { later } if !(second && later) => Says::Former(organisation),
            Entry::Wrong { draw } => {
                let list = &self.bystanders[organisation.country];
                world::wrong_holder(list, draw).map_or(Says::Nothing, |place| {
                    Says::Holder(&self.world.organisations[place])
                })
            }
            Entry::ProviderHeld => Says::Provider,
            _ => Says::Holder(organisation),
        }
    }
}

type Line = (Block, [String; 9]);

fn organisations(world: &World, second: bool) -> Vec<Line> {
    let snapshots = Snapshots::new(world);
    let places = world.places();
    let mut rows = Vec::new();
    for organisation in &world.organisations {
        for holding in &organisation.holdings {
            let (holder, former) = match snapshots.says(organisation, *holding, second)
            {
                Says::Holder(holder) => (holder, false),
                Says::Former(holder) => (holder, true),
                Says::Provider => {
                    rows.push(lessor(holding.block, organisation.country));
                    continue;
                }
                Says::Nothing => continue,
            };
            let name = organisation::name(world.params.seed, holder);
            let parent = holder.parent.filter(|p| places.contains_key(p));
            let id = if former {
                organisation::former_id(holder.number)
            } else {
                holder.id()
            };
            let row = [
                holding.block.text(),
                id,
                if former { format!("{name} (former)") } else { name },
                COUNTRIES[holder.country].code.to_owned(),
                parent.map(organisation::id).unwrap_or_default(),
                holder.sector.to_owned(),
                "own".to_owned(),
                "no".to_owned(),
                "0.9".to_owned(),
            ];
            rows.push((holding.block, row));
        }
    }
    rows
}

/// Access providers and hosting companies.
fn providers(world: &World) -> Vec<Line> {
    let mut rows = Vec::new();
    for group in &world.calibration.consumers {
        for (number, lease) in Lease::ALL.into_iter().enumerate() {
            let pool = consumer::pool_blocks(group, lease);
            let mut blocks = space::provider(group.country, number, pool);
            blocks.push(space::provider_v6_block(group.country, number));
            let (kind, shared) = match lease {
                Lease::Mobile => ("mobile", "cgnat"),
                _ => ("eyeball", "no"),
            };
            let what = if lease == Lease::Mobile { "Mobile" } else { "Access" };
            rows.extend(blocks.into_iter().map(|block| {
                let id = provider_id(group.country, number);
                let name = format!("{what} Provider {}", number + 1);
                line(block, group.country, id, &name, kind, shared)
            }));
        }
    }
    for (country, of) in COUNTRIES.iter().enumerate().take(HOSTING_COMPANIES) {
        let block = space::hosting(country);
        let code = of.code.to_ascii_lowercase();
        let id = format!("syn:{code}-hosting");
        rows.push(line(block, country, id, "Hosting Company", "hosting", "no"));
    }
    rows
}

/// The identifier of a country's access provider.
fn provider_id(country: usize, number: usize) -> String {
    let code = COUNTRIES[country].code.to_ascii_lowercase();
    format!("syn:{code}-provider-{}", number + 1)
}

/// A member's block that stands in the name of the provider with static addresses.
fn lessor(block: Block, country: usize) -> Line {
    let name = format!("Access Provider {}", LESSOR + 1);
    let id = provider_id(country, LESSOR);
    line(block, country, id, &name, "isp_business", "no")
}

fn line(
    block: Block,
    country: usize,
    id: String,
    name: &str,
    kind: &str,
    shared: &str,
) -> Line {
    let code = COUNTRIES[country].code;
    let sector = if kind == "hosting" { "technology" } else { "telecommunications" };
    let row = [
        block.text(),
        id,
        format!("{name} {code}"),
        code.to_owned(),
        String::new(),
        sector.to_owned(),
        kind.to_owned(),
        shared.to_owned(),
        "0.95".to_owned(),
    ];
    (block, row)
}
