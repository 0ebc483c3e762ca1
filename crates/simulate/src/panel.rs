//! The panel that an analysis would make of a world, without the telemetry in between: many
//! replicates cost seconds instead of minutes.
//!
//! ```text
//! Replicates (solved once) ─► draw(seed) ─► traffic of the members ─► Replicate: panel, truth
//! ```
//!
//! The flows are those of the world ([`crate::traffic`]), drawn by the same code with the
//! same streams of chance; only writing and reading them is left out. A flow counts as the
//! catalog counts it: update servers are the product, servers of control products controls,
//! and every flow is footprint. Names are those of the first snapshot of the registry, so
//! that wrong and stale rows bear contacts as they do in an analysis of that map.
//!
//! Left out: households and hosts that are nobody's own network, and the office.
//!
//! **Invariant:** a replicate is a function of its parameters and its seed, and no figure of
//! the truth goes into its panel.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::panel::{History, Panel, WeekCell};
use tidegauge_model::{DayRange, OrgId, ProductId};

use crate::calendar::{self, DAYS, YearDay};
use crate::calibrate::Calibration;
use crate::country::COUNTRIES;
use crate::hazard::Presence;
use crate::organisation::{self, PREFIXES_MAX, Part};
use crate::server::Kind;
use crate::traffic::{self, Days, Row, Seen, Sink};
use crate::world::World;
use crate::{Error, Params};

/// Weeks of the year, the last of two days; 2024 begins on a Monday.
const WEEKS: usize = DAYS.div_ceil(7) as usize;

/// A solved world, of which any number of replicates can be drawn.
pub struct Replicates {
    params: Params,
    calibration: Calibration,
}

/// One year as an analysis sees it, and what is true of it.
pub struct Replicate {
    /// Weekly histories of the year, of the two wide vantages.
    pub panel: Panel,
    /// For each name of the panel, when whoever bears it had the product.
    uses: BTreeMap<OrgId, Presence>,
    /// For each name the networks by which it was in contact, with the days.
    networks: BTreeMap<OrgId, BTreeMap<u128, BTreeSet<YearDay>>>,
}

impl Replicates {
    /// Solves the world, whatever its seed.
    pub fn new(params: &Params) -> Result<Self, Error> {
        params.check()?;
        let calibration = Calibration::solve(params);
        organisation::check_room(&calibration.strata)?;
        Ok(Self { params: params.clone(), calibration })
    }

    /// The replicate of a seed.
    pub fn draw(&self, seed: u64) -> Result<Replicate, Error> {
        let params = Params { seed, ..self.params.clone() };
        let world = World::solved(&params, self.calibration.clone())?;
        let mut drawn = Drawn::new(&world);
        for month in 0..12 {
            traffic::members(&world, month, &mut drawn);
        }
        Ok(drawn.replicate())
    }
}

impl Replicate {
    /// Whether whoever bears this name had the product on a day of the window; a name on
    /// other people's networks never did.
    pub fn used(&self, name: &OrgId, window: DayRange) -> bool {
        let on = |presence: &Presence| {
            (0..DAYS).any(|d| window.contains(calendar::day(d)) && presence.on(d))
        };
        self.uses.get(name).is_some_and(on)
    }

    /// By how many networks each name was in contact in the window.
    pub fn networks(&self, window: DayRange) -> BTreeMap<OrgId, usize> {
        let inside = |days: &&BTreeSet<YearDay>| {
            days.iter().any(|d| window.contains(calendar::day(*d)))
        };
        let each = self.networks.iter();
        each.map(|(name, of)| (name.clone(), of.values().filter(inside).count()))
            .collect()
    }
}

/// What one name showed at one vantage.
type Cells = [WeekCell; WEEKS];

struct Drawn<'a> {
    world: &'a World,
    /// Rows of the member that is drawn.
    rows: Vec<(Seen, Row)>,
    /// By name, as [`World::said`] numbers them, and vantage.
    cells: BTreeMap<(usize, usize), Box<Cells>>,
    networks: BTreeMap<usize, BTreeMap<u128, BTreeSet<YearDay>>>,
}

impl<'a> Drawn<'a> {
    fn new(world: &'a World) -> Self {
        let (cells, networks) = (BTreeMap::new(), BTreeMap::new());
        Self { world, rows: Vec::new(), cells, networks }
    }

    /// Enters a flow of the member at `place`.
    fn enter(&mut self, place: usize, seen: Seen, row: &Row) {
        let world = self.world;
        let holdings = &world.organisations[place].holdings;
        let holds = |length: u8, first: u128| {
            let bits = 128 - u32::from(length);
            row.originator >> bits == first >> bits
        };
        let holding =
            holdings.iter().position(|h| holds(h.block.length, h.block.first));
        let Some(holding) = holding.filter(|h| *h < PREFIXES_MAX) else { return };
        let Some(name) = world.said[place][holding] else { return };
        let Some(day) = day_of(row.start) else { return };
        let (week, bit) = (usize::from(day / 7), 1u8 << (day % 7));
        let cells = self.cells.entry((name, seen as usize));
        let cell =
            &mut cells.or_insert_with(|| Box::new([WeekCell::default(); WEEKS]))[week];
        cell.visible |= bit;
        match world.servers.kind(row.server) {
            Kind::Update => {
                cell.seen |= bit;
                let networks = self.networks.entry(name).or_default();
                let first = holdings[holding].block.first;
                networks.entry(first).or_default().insert(day);
            }
            Kind::Windows | Kind::Control => cell.control |= bit,
            _ => {}
        }
    }

    /// The name of a number of [`World::said`], and who bears it.
    fn name(&self, number: usize) -> (OrgId, usize) {
        let all = &self.world.organisations;
        if let Some(own) = all.get(number) {
            return (OrgId::new(own.id()), number);
        }
        let place = number - all.len();
        (OrgId::new(organisation::former_id(all[place].number)), place)
    }

    fn replicate(self) -> Replicate {
        let places = self.world.places();
        let mut histories = Vec::new();
        let mut uses = BTreeMap::new();
        for ((number, vantage), cells) in &self.cells {
            if cells.iter().all(|cell| cell.seen == 0) {
                continue;
            }
            let (name, place) = self.name(*number);
            let of = &self.world.organisations[place];
            let never = of.part == Part::Bystander;
            uses.insert(
                name.clone(),
                if never { Presence::NEVER } else { of.presence },
            );
            let parent = of.parent.filter(|p| places.contains_key(p));
            let family =
                parent.map_or(name.clone(), |p| OrgId::new(organisation::id(p)));
            histories.push(History {
                organisation: name,
                family,
                country: COUNTRIES[of.country].code.parse().ok(),
                sector: Some(of.sector.into()),
                vantage: Seen::ALL[*vantage].id().into(),
                weeks: cells.to_vec(),
            });
        }
        histories.sort_by(|a, b| {
            (&a.organisation, &a.vantage).cmp(&(&b.organisation, &b.vantage))
        });
        let networks =
            self.networks.iter().map(|(n, of)| (self.name(*n).0, of.clone()));
        let networks = networks.collect();
        let days = DayRange::new(calendar::day(0), calendar::day(DAYS - 1))
            .expect("a year has a first and a last day");
        let product = ProductId::from("kaspersky");
        Replicate { panel: Panel { product, days, histories }, uses, networks }
    }
}

fn day_of(start: i64) -> Option<YearDay> {
    let day = start.div_euclid(traffic::MICROS_PER_DAY);
    calendar::year_day(tidegauge_model::Day(i32::try_from(day).ok()?))
}

impl Sink for Drawn<'_> {
    fn row(&mut self, seen: Seen, row: Row) {
        self.rows.push((seen, row));
    }

    fn organisation(&mut self, place: usize, _: Days, _: u32) {
        for (seen, row) in std::mem::take(&mut self.rows) {
            self.enter(place, seen, &row);
        }
    }

    fn address(&mut self, _: u128, _: bool) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Story;
    use crate::tally::tally;

    fn small(world: Story) -> Params {
        let of = Params::of(world);
        Params { organisations: 0.02, eyeball: 0.001, ..of }
    }

    /// What the panel counts is what the perfect counter of the same world does: the same
    /// members active in a month, each former name beside its own.
    #[test]
    fn a_replicate_counts_as_the_tally_does() {
        for world in [Story::A, Story::C, Story::E] {
            let params = small(world);
            let replicate =
                Replicates::new(&params).unwrap().draw(params.seed).unwrap();
            let counted = tally(&params).unwrap();
            for month in [3, 10] {
                let (start, length) = calendar::month(month);
                let mut active: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
                for history in &replicate.panel.histories {
                    let mut days = BTreeSet::new();
                    for day in 0..u32::from(length) {
                        let at = calendar::day(start).plus(i32::try_from(day).unwrap());
                        let one = DayRange::one(at);
                        if history.seen_days(replicate.panel.days, one) > 0 {
                            days.insert(day);
                        }
                    }
                    let name = history.organisation.as_str().replace("-former", "");
                    active.entry(name).or_default().extend(days);
                }
                let active = active.values().filter(|days| days.len() >= 2).count();
                let expected = counted.world.observed[month];
                let off = u32::try_from(active).unwrap().abs_diff(expected);
                assert!(off <= 2, "{world:?} {month}: {active} {expected}");
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_panel_and_another_another() {
        let replicates = Replicates::new(&small(Story::B)).unwrap();
        let [a, b, c] = [1, 1, 2].map(|seed| replicates.draw(seed).unwrap().panel);
        assert!(a == b && a != c);
    }
}
