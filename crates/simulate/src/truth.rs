//! The truth folder: what the world decided and what a perfect counter would find.
//!
//! **Invariant:** no analysis reads it; tests and calibration do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tidegauge_model::Address;

use crate::calendar::{self, DAYS, YearDay};
use crate::country::COUNTRIES;
use crate::organisation::{self, Organisation};
use crate::registry::{self, table};
use crate::server::Kind;
use crate::tally::{ACTIVE_DAYS, Books, Group, Tally};
use crate::world::World;
use crate::{Error, Params, consumer, noise};

const README: &str = "\
# Truth of this world

Everything here and in the folders beside it is made up. Addresses lie in public space
because an analysis treats private and documentation space differently; the real holders
of those addresses have nothing to do with anything said here. No analysis may read this
folder: it is what analyses are measured against.

| file | content |
|---|---|
| `params.toml` | the parameters; the same parameters make the same bytes |
| `organisations.csv` | who: country, sector, parent, part (member: had the product on 1 January; adopter: got it later; bystander: never), first day with the product, first day without it, first day with it again, which vantages its traffic crosses, packets of a weekday towards the servers, relays, prefixes, the sensor partner that sees it and the first day without that partner (both empty if none ever goes dark), the rival product it uses and from when |
| `status.csv` | per organisation and month with anything to say: days with the product, days on which one of its addresses was in contact at a vantage, days in contact under its id, or its former id, by the first snapshot of the registry; the last-named days as hexadecimal bits, the first of the month lowest |
| `weeks.csv` | per organisation and week (by its Monday) with anything to say: days with the product, days in contact, days in contact with hosts that the vendor moved, days without sensor partner |
| `counts.csv` | per month, for the world, each country and each sector of the United States: active as observed (two or more of the last-named days), and organisations with the product |
| `cells.csv` | per month, country and sector: organisations with the product, active as observed |
| `cohorts.csv` | of April's, those of November: observed and true, with cohort removal |
| `consumers.csv` | per month and country: households with the product on any day, and with the product they were moved to, as simulated |
| `addresses.csv` | distinct addresses per month as simulated (IPv6 as /64), and expanded to the full-size world: (own + consumers / eyeball) / organisations |
| `targets.csv` | the figures that the world is made for, the expectation that it was solved for, and what came out |
| `sight.csv` | per country (United States: per sector) and month, on its 15th: share of what was seen on 1 January that is still seen, share of contacts that go to known hosts, share of sensor partners that are dark |
| `registry_errors.csv` | each prefix of which a snapshot says something untrue: whose it is, what kind of error, what the two snapshots say (empty: no row) |
| `events.csv` | the dated steps, the outages and the change of sampling |
| `noise.csv` | addresses whose contacts prove no use: research scanners, sandboxes, exits of VPNs |
| `endpoints.csv` | servers with what they are for |

Counts are of the simulated share: divide organisations by `organisations` of
`params.toml`, consumer addresses by `eyeball` as well. `wrong` rows name an organisation
of the same country without the product, which then looks like a user. `stale` rows name a
former identity of the holder; where only the first snapshot has it, following the
registry day by day shows one organisation that leaves and one that comes.
`provider-held` rows name the access provider that rents the prefix out.
The exchange names servers by the DNS answers that it saw, so that sampled packets have a
server name.
The holder of the office's vantage is one more organisation that counts find in the months of
its logs; the tables here leave it out.
The default seed is one of many that were tried: with it, groups of a hundred organisations
of world A also lie close to their targets. Another seed moves such a group by a few per
cent.
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
    weeks(world, books, &folder.join("weeks.csv"))?;
    counts(tally, &folder.join("counts.csv"))?;
    cells(world, books, &folder.join("cells.csv"))?;
    consumers(world, &folder.join("consumers.csv"))?;
    sight(world, &folder.join("sight.csv"))?;
    endpoints(world, &folder.join("endpoints.csv"))?;
    cohorts(tally, &folder.join("cohorts.csv"))?;
    addresses(&world.params, tally, &folder.join("addresses.csv"))?;
    targets(world, tally, &folder.join("targets.csv"))?;
    registry::write_errors(world, &folder.join("registry_errors.csv"))?;
    events(&world.params, &folder.join("events.csv"))?;
    noise(&world.params, &folder.join("noise.csv"))
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
        "partner",
        "dark",
        "rival",
        "rival_from",
    ];
    let rivals = world.servers.range(Kind::Rivals);
    let name = |which: u16| {
        world.servers.at(rivals.start + which).name.clone().unwrap_or_default()
    };
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
            o.partner.map(|(partner, _)| partner.to_string()).unwrap_or_default(),
            date(o.dark()),
            o.rival.map(|r| name(r.which)).unwrap_or_default(),
            o.rival.map(|r| date(r.from)).unwrap_or_default(),
        ]
    };
    table(path, &header(names), world.organisations.iter().map(row))
}

fn status(world: &World, books: &Books<'_>, path: &Path) -> Result<(), Error> {
    let names = [
        "organisation",
        "month",
        "present_days",
        "contact_days",
        "observed_days",
        "observed_bits",
    ];
    let rows = (0..world.organisations.len()).flat_map(|place| {
        (0..12).filter_map(move |m| {
            let said = books.month(place, m);
            let contact = said.contacted.count_ones();
            let observed = said.observed.count_ones();
            (said.present > 0 || contact > 0 || observed > 0).then(|| {
                [
                    world.organisations[place].id(),
                    month(m),
                    said.present.to_string(),
                    contact.to_string(),
                    observed.to_string(),
                    format!("{:x}", said.observed),
                ]
            })
        })
    });
    table(path, &header(names), rows)
}

/// Days of the year, one flag each, out of the bits of its months.
fn flags(bits: impl Fn(usize) -> u32) -> Vec<bool> {
    (0..12)
        .flat_map(|m| {
            let of_month = bits(m);
            (0..calendar::month(m).1).map(move |d| of_month >> d & 1 == 1)
        })
        .collect()
}

fn weeks(world: &World, books: &Books<'_>, path: &Path) -> Result<(), Error> {
    let names = [
        "organisation",
        "monday",
        "present_days",
        "contact_days",
        "moved_days",
        "dark_days",
    ];
    let rows = world.organisations.iter().enumerate().flat_map(|(place, o)| {
        let contacted = flags(|m| books.month(place, m).contacted);
        let moved = flags(|m| books.month(place, m).moved);
        let (presence, dark) = (o.presence, o.dark());
        // 2024-01-01 was a Monday.
        (0..DAYS).step_by(7).filter_map(move |monday| {
            let week = monday..(monday + 7).min(DAYS);
            let count = |is: &dyn Fn(YearDay) -> bool| {
                week.clone().filter(|day| is(*day)).count()
            };
            let days = [
                count(&|d| presence.on(d)),
                count(&|d| contacted[usize::from(d)]),
                count(&|d| moved[usize::from(d)]),
            ];
            (days != [0; 3]).then(|| {
                let [present, contact, moved] = days.map(|n| n.to_string());
                let unseen = count(&|d| d >= dark).to_string();
                [
                    o.id(),
                    calendar::day(monday).to_string(),
                    present,
                    contact,
                    moved,
                    unseen,
                ]
            })
        })
    });
    table(path, &header(names), rows)
}

fn cells(world: &World, books: &Books<'_>, path: &Path) -> Result<(), Error> {
    let names = ["month", "country", "sector", "true_users", "observed_active"];
    let mut cells: BTreeMap<(usize, &str, &str), [u32; 2]> = BTreeMap::new();
    for (place, o) in world.organisations.iter().enumerate() {
        for m in 0..12 {
            let said = books.month(place, m);
            let cell =
                cells.entry((m, COUNTRIES[o.country].code, o.sector)).or_default();
            cell[0] += u32::from(said.present > 0);
            cell[1] += u32::from(said.observed.count_ones() >= ACTIVE_DAYS);
        }
    }
    let rows = cells.into_iter().map(|((m, country, sector), [users, active])| {
        [month(m), country.into(), sector.into(), users.to_string(), active.to_string()]
    });
    table(path, &header(names), rows)
}

fn consumers(world: &World, path: &Path) -> Result<(), Error> {
    let names = ["month", "country", "households", "moved_to_successor"];
    let mut cells: BTreeMap<(usize, &str), [u32; 2]> = BTreeMap::new();
    for group in &world.calibration.consumers {
        let code = COUNTRIES[group.country].code;
        for home in consumer::households(&world.params, group) {
            let successor = consumer::successor(world, &home);
            for m in 0..12 {
                let (start, length) = calendar::month(m);
                let cell = cells.entry((m, code)).or_default();
                cell[0] += u32::from(home.presence.days_in(start, length) > 0);
                cell[1] += u32::from(successor < start + length);
            }
        }
    }
    let rows = cells.into_iter().map(|((m, code), [with, moved])| {
        [month(m), code.to_owned(), with.to_string(), moved.to_string()]
    });
    table(path, &header(names), rows)
}

fn sight(world: &World, path: &Path) -> Result<(), Error> {
    let names =
        ["country", "sector", "month", "thinned", "known_hosts", "dark_partners"];
    let rows = world.calibration.strata.iter().flat_map(|stratum| {
        (0..12).map(move |m| {
            let day = calendar::month(m).0 + 14;
            let sight = &stratum.sight;
            let dark = sight.dark().iter().filter(|d| **d <= day).count();
            let share = |n: usize| f64::from(u32::try_from(n).expect("few partners"));
            [
                COUNTRIES[stratum.country].code.to_owned(),
                stratum.sector.unwrap_or_default().to_owned(),
                month(m),
                format!("{:.4}", sight.thinned(day)),
                format!("{:.4}", sight.known(day)),
                format!("{:.4}", share(dark) / share(sight.dark().len())),
            ]
        })
    });
    table(path, &header(names), rows)
}

fn endpoints(world: &World, path: &Path) -> Result<(), Error> {
    let servers = &world.servers;
    let rows = (0u16..).zip(servers.all()).map(|(place, server)| {
        [
            servers.kind(place).text().to_owned(),
            server.name.clone().unwrap_or_default(),
            Address::from_bits(server.address).to_string(),
            server.port.to_string(),
        ]
    });
    table(path, &header(["kind", "name", "address", "port"]), rows)
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
    let expected = crate::tally::expectations(&world.params, &world.calibration);
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
    let mut rows = Vec::new();
    let courses = &params.courses;
    for (name, place, shape) in [
        ("steps", "US", &courses.steps),
        ("gradual", "ZZ", &courses.gradual),
        ("spillover", "ZZ", &courses.spillover),
        ("migrated", "US", &courses.migrated),
    ] {
        for burst in &shape.bursts {
            let what = format!("step of the course `{name}`, weight {}", burst.weight);
            rows.push((burst.at.to_string(), place, what));
        }
    }
    let served =
        format!("cut-off: {} of clients are still served", params.served_after_cutoff);
    rows.push((params.cutoff.to_string(), "US", served));
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

fn noise(params: &Params, path: &Path) -> Result<(), Error> {
    let rows = noise::sources(&params.noise).map(|(source, address)| {
        [Address::from_bits(address).to_string(), source.text().to_owned()]
    });
    table(path, &header(["address", "kind"]), rows)
}
