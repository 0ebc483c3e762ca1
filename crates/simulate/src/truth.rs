//! The truth folder: what the world decided and what a perfect counter would find.
//!
//! **Invariant:** no analysis reads it; tests and calibration do.

use std::fs;
use std::path::Path;

use tidegauge_model::Address;

use crate::calendar::{self, DAYS, EVENTS, YearDay};
use crate::country::COUNTRIES;
use crate::organisation::{self, Organisation};
use crate::registry::{self, HOSTING_COMPANIES, table};
use crate::space;
use crate::tally::{Books, Group, Tally};
use crate::world::World;
use crate::{Error, Params};

const README: &str = "\
# Truth of this world

Everything here and in the folders beside it is made up. Addresses lie in public space
because an analysis treats private and documentation space differently; the real holders
of those addresses have nothing to do with anything said here. No analysis may read this
folder: it is what analyses are measured against.

| file | content |
|---|---|
| `params.toml` | the parameters; the same parameters make the same bytes |
| `organisations.csv` | who: country, sector, parent, part (member: had the product on 1 January; adopter: got it later; bystander: never), first day with the product, first day without it, first day with it again, which vantages its traffic crosses, packets of a weekday towards the servers, relays, prefixes |
| `status.csv` | per organisation and month with anything to say: days with the product, days on which one of its addresses was in contact at a vantage, days in contact under its id, or its former id, by the first snapshot of the registry |
| `counts.csv` | per month, for the world, each country and each sector of the United States: active as observed (two or more of the last-named days), and organisations with the product |
| `cohorts.csv` | of April's, those of November: observed and true, with cohort removal |
| `addresses.csv` | distinct addresses per month as simulated (IPv6 as /64), and expanded to the full-size world: (own + consumers / eyeball) / organisations |
| `targets.csv` | the published figures, the expectation that the world was solved for, and what came out |
| `registry_errors.csv` | each prefix of which a snapshot says something untrue: whose it is, what kind of error, what the two snapshots say (empty: no row) |
| `events.csv` | the dated steps, the outages and the change of sampling |
| `scanners.csv` | addresses of the research scanners |

Counts are of the simulated share: divide organisations by `organisations` of
`params.toml`, consumer addresses by `eyeball` as well. `wrong` rows name an organisation
of the same country without the product, which then looks like a user. `stale` rows name a
former identity of the holder; where only the first snapshot has it, following the
registry day by day shows one organisation that leaves and one that comes.
The exchange names servers by the DNS answers that it saw, so that sampled packets have a
server name.
The holder of the office's vantage is one more organisation that counts find in the months of
its logs; the tables here leave it out.
The default seed is one of many that were tried: with it, groups of a hundred organisations
also lie close to their targets. Another seed moves such a group by a few per cent.
";

/// Writes the folder, which must be there.
pub(crate) fn write(
    world: &World,
    books: &Books<'_>,
    tally: &Tally,
    folder: &Path,
) -> Result<(), Error> {
    let text = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| Error::Write { path, source })
    };
    text("README.md", README)?;
    text("params.toml", &world.params.write())?;
    organisations(world, &folder.join("organisations.csv"))?;
    status(world, books, &folder.join("status.csv"))?;
    counts(tally, &folder.join("counts.csv"))?;
    cohorts(tally, &folder.join("cohorts.csv"))?;
    addresses(&world.params, tally, &folder.join("addresses.csv"))?;
    targets(world, tally, &folder.join("targets.csv"))?;
    registry::write_errors(world, &folder.join("registry_errors.csv"))?;
    events(&world.params, &folder.join("events.csv"))?;
    scanners(&world.params, &folder.join("scanners.csv"))
}

fn header<const N: usize>(names: [&str; N]) -> [String; N] {
    names.map(str::to_owned)
}

fn month(index: usize) -> String {
    format!("2024-{:02}", index + 1)
}

/// A day of the year, empty if the year does not reach it.
fn date(day: YearDay) -> String {
    if day < DAYS { calendar::day(day).to_string() } else { String::new() }
}

fn organisations(world: &World, path: &Path) -> Result<(), Error> {
    let names = [
        "organisation",
        "country",
        "sector",
        "parent",
        "part",
        "from",
        "until",
        "back",
        "exchange",
        "carrier",
        "packets",
        "relays",
        "prefixes",
    ];
    let row = |o: &Organisation| {
        let never = o.part == organisation::Part::Bystander;
        let shown = |day| if never { String::new() } else { date(day) };
        let prefixes: Vec<_> = o.holdings.iter().map(|h| h.block.text()).collect();
        [
            o.id(),
            COUNTRIES[o.country].code.to_owned(),
            o.sector.to_owned(),
            o.parent.map(organisation::id).unwrap_or_default(),
            o.part.text().to_owned(),
            shown(o.presence.from),
            shown(o.presence.until),
            shown(o.presence.back),
            o.reach.exchange.to_string(),
            o.reach.carrier.to_string(),
            format!("{:.1}", o.reach.packets),
            o.relays.to_string(),
            prefixes.join(" "),
        ]
    };
    table(path, &header(names), world.organisations.iter().map(row))
}

fn status(world: &World, books: &Books<'_>, path: &Path) -> Result<(), Error> {
    let names =
        ["organisation", "month", "present_days", "contact_days", "observed_days"];
    let rows = (0..world.organisations.len()).flat_map(|place| {
        (0..12).filter_map(move |m| {
            let [present, contact] =
                [&books.present, &books.contacted].map(|b| b[place][m]);
            let days = [present, contact, books.observed_days(place, m)];
            (days != [0; 3]).then(|| {
                let [present, contact, observed] = days.map(|d| d.to_string());
                [world.organisations[place].id(), month(m), present, contact, observed]
            })
        })
    });
    table(path, &header(names), rows)
}

/// All groups of a tally: kind, id, group.
fn groups(tally: &Tally) -> impl Iterator<Item = (&'static str, &'static str, &Group)> {
    let countries = tally.countries.iter().map(|(id, g)| ("country", *id, g));
    let sectors = tally.us_sectors.iter().map(|(id, g)| ("us_sector", *id, g));
    std::iter::once(("world", "ZZ", &tally.world)).chain(countries).chain(sectors)
}

fn counts(tally: &Tally, path: &Path) -> Result<(), Error> {
    let names = ["group", "id", "month", "observed_active", "true_users"];
    let rows = groups(tally).flat_map(|(kind, id, group)| {
        (0..12).map(move |m| {
            let [observed, truth] = [group.observed[m], group.truth[m]];
            [kind.into(), id.into(), month(m), observed.to_string(), truth.to_string()]
        })
    });
    table(path, &header(names), rows)
}

fn cohorts(tally: &Tally, path: &Path) -> Result<(), Error> {
    let names = [
        "group",
        "id",
        "observed_april",
        "observed_kept",
        "observed_removal",
        "true_april",
        "true_kept",
        "true_removal",
    ];
    let rows = groups(tally).map(|(kind, id, group)| {
        [
            kind.to_owned(),
            id.to_owned(),
            group.observed[calendar::APRIL].to_string(),
            group.observed_kept.to_string(),
            format!("{:.4}", group.observed_removal()),
            group.truth[calendar::APRIL].to_string(),
            group.true_kept.to_string(),
            format!("{:.4}", group.true_removal()),
        ]
    });
    table(path, &header(names), rows)
}

fn addresses(params: &Params, tally: &Tally, path: &Path) -> Result<(), Error> {
    let names = [
        "month",
        "own_ipv4",
        "own_ipv6_64",
        "consumer_ipv4",
        "consumer_ipv6_64",
        "expanded",
    ];
    let rows = tally.addresses.iter().enumerate().map(|(index, a)| {
        [
            month(index),
            a.own_v4.to_string(),
            a.own_v6.to_string(),
            a.consumer_v4.to_string(),
            a.consumer_v6.to_string(),
            format!("{:.0}", a.expanded(params)),
        ]
    });
    table(path, &header(names), rows)
}

fn targets(world: &World, tally: &Tally, path: &Path) -> Result<(), Error> {
    let names = ["id", "published", "expected", "simulated", "difference", "source"];
    let expected = crate::tally::expectations(&world.calibration);
    let rows = tally.compare(&world.params).into_iter().zip(expected).map(|(c, e)| {
        [
            c.id.to_owned(),
            c.published.to_string(),
            format!("{:.4}", e.simulated),
            format!("{:.4}", c.simulated),
            format!("{:+.4}", c.difference()),
            c.source.to_owned(),
        ]
    });
    table(path, &header(names), rows)
}

fn events(params: &Params, path: &Path) -> Result<(), Error> {
    let steps = EVENTS.map(|(day, what, place)| (date(day), place, what.to_owned()));
    let mut rows = steps.to_vec();
    for day in &params.exchange.outage {
        rows.push((day.to_string(), "exchange", "outage: no records".to_owned()));
    }
    for day in &params.carrier.outage {
        rows.push((day.to_string(), "carrier", "outage: no records".to_owned()));
    }
    let change = format!(
        "sampling changes from 1 in {} to 1 in {}",
        params.exchange.sampling, params.exchange.sampling_later
    );
    rows.push((params.exchange.sampling_changes.to_string(), "exchange", change));
    rows.sort();
    let rows = rows.into_iter().map(|(date, place, what)| [date, place.into(), what]);
    table(path, &header(["date", "where", "what"]), rows)
}

fn scanners(params: &Params, path: &Path) -> Result<(), Error> {
    let rows = (0..params.scanners).map(|scanner| {
        let address = Address::from_bits(scanner_address(scanner));
        [address.to_string()]
    });
    table(path, &header(["address"]), rows)
}

/// The address of a research scanner, in the space of a hosting company.
pub(crate) fn scanner_address(scanner: u32) -> u128 {
    space::hosting(scanner as usize % HOSTING_COMPANIES).host(256 + scanner)
}
