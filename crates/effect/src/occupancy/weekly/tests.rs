//! The joint model against brute force, and against worlds of which all is known.
//!
//! **Invariant:** the worlds are drawn here with code of their own; sizes differ from
//! organisation to organisation without classes, which the model only approximates.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tidegauge_model::panel::{History, Panel, WeekCell};
use tidegauge_model::{DayRange, OrgId};

use super::chain::{Chain, Room};
use super::entry::Entries;
use super::evidence::{Evidence, Unit, silent_patterns};
use super::layout::Layout;
use super::likelihood::Likelihood;
use super::rates::Rates;
use super::*;
use crate::Windows;
use crate::interval::as_f64;
use crate::occupancy::optimum::tests::assert_gradient;

const WEEKS: usize = 26;
const ANNOUNCED: usize = 9;
const EFFECTIVE: usize = 14;

/// A story. Chances are per week.
#[derive(Clone, Copy, Debug)]
struct World {
    organisations: usize,
    leave: [f64; 3],
    /// Contacts seen of all, from the middle on.
    thin: f64,
    /// Contacts seen of the product alone, from the middle on.
    rot: f64,
    /// Share of organisations whose sensor goes dark at some week after the tenth.
    dark: f64,
    /// Whether a dark organisation leaves the footprint too.
    footprint: bool,
    /// Share of organisations with controls.
    controls: f64,
    /// Vantages: the second sees half of the organisations, at half the rate.
    vantages: usize,
}

const NOTHING: World = World {
    organisations: 400,
    leave: [0.002; 3],
    thin: 1.0,
    rot: 1.0,
    dark: 0.0,
    footprint: true,
    controls: 1.0,
    vantages: 1,
};
const A: World = World { leave: [0.004, 0.05, 0.09], ..NOTHING };
const B: World = World { thin: 0.25, ..NOTHING };
const C: World = World { dark: 0.5, footprint: false, ..NOTHING };
const F: World = World { leave: [0.004, 0.03, 0.04], thin: 0.4, ..NOTHING };

fn windows() -> Windows {
    let range = |a: &str, b: &str| {
        DayRange::new(a.parse().unwrap(), b.parse().unwrap()).unwrap()
    };
    Windows::new(range("2024-04-01", "2024-04-28"), range("2024-09-02", "2024-09-29"))
        .unwrap()
}

fn dates() -> ActDates {
    let monday =
        |week: usize| windows().before().first().plus(7 * i32::try_from(week).unwrap());
    ActDates { announced: Some(monday(ANNOUNCED)), effective: Some(monday(EFFECTIVE)) }
}

fn normal(random: &mut Pcg64Mcg) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// Days of a week on which contacts at these rates are seen.
fn days(lambda: f64, looked: u8, random: &mut Pcg64Mcg) -> u8 {
    (0..7u8).filter(|d| looked >> d & 1 == 1).fold(0, |bits, d| {
        let lambda = if d < 5 { lambda } else { 0.4 * lambda };
        bits | u8::from(random.random::<f64>() > (-lambda).exp()) << d
    })
}

impl World {
    /// The panel, and for each organisation the weeks in which it uses the product.
    fn draw(self, seed: u64) -> (Panel, Vec<[bool; WEEKS]>) {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let days = DayRange::new(windows().before().first(), windows().after().last());
        let (mut histories, mut uses) = (Vec::new(), Vec::new());
        for i in 0..self.organisations {
            let mut using = [true; WEEKS];
            for week in 1..WEEKS {
                let period =
                    usize::from(week >= ANNOUNCED) + usize::from(week >= EFFECTIVE);
                using[week] =
                    using[week - 1] && random.random::<f64>() >= self.leave[period];
            }
            let size = normal(&mut random);
            let own = 0.5 * size + 0.85 * normal(&mut random);
            let product = (-0.9 + 0.6 * size).exp();
            let control = (random.random::<f64>() < self.controls)
                .then_some((-0.3 + 0.5 * own).exp());
            for vantage in 0..self.vantages {
                if vantage == 1 && i % 2 == 0 {
                    continue;
                }
                let part = if vantage == 1 { 0.5 } else { 1.0 };
                let weeks =
                    self.weeks(&using, product * part, control, vantage, &mut random);
                histories.push(History {
                    organisation: OrgId::new(format!("o{i:06}")),
                    family: OrgId::new(format!("o{i:06}")),
                    country: Some(["US", "DE"][i % 2].parse().unwrap()),
                    sector: None,
                    vantage: ["east", "west"][vantage].into(),
                    weeks,
                });
            }
            uses.push(using);
        }
        let panel = Panel { product: "p".into(), days: days.unwrap(), histories };
        (panel, uses)
    }

    fn weeks(
        self,
        using: &[bool; WEEKS],
        product: f64,
        control: Option<f64>,
        vantage: usize,
        random: &mut Pcg64Mcg,
    ) -> Vec<WeekCell> {
        let dark_from = if vantage == 0 && random.random::<f64>() < self.dark {
            10 + usize::from(random.random::<u8>() % 8)
        } else {
            WEEKS
        };
        (0..WEEKS)
            .map(|week| {
                let late = week >= WEEKS / 2;
                let thin = if late { self.thin } else { 1.0 };
                let rot = if late { self.rot } else { 1.0 };
                if week >= dark_from {
                    let visible = if self.footprint { 0 } else { 127 };
                    return WeekCell { seen: 0, visible, control: 0 };
                }
                let used = f64::from(u8::from(using[week]));
                WeekCell {
                    seen: days(product * used * thin * rot, 127, random),
                    visible: 127,
                    control: days(control.unwrap_or(0.0) * thin, 127, random),
                }
            })
            .collect()
    }
}

/// Share of the members that used the product in no week of the window after.
fn truth(found: &Corrected, uses: &[[bool; WEEKS]]) -> f64 {
    let used = |of: &StillUsing| {
        let i: usize = of.organisation.as_str()[1..].parse().unwrap();
        uses[i][WEEKS - 4..].contains(&true)
    };
    let gone = found.still_using.iter().filter(|s| !used(s)).count();
    let share = |n: usize| as_f64(u64::try_from(n).unwrap());
    share(gone) / share(found.still_using.len())
}

fn settings() -> Settings {
    let classes = std::env::var("K").map_or(5, |k| k.parse().unwrap());
    Settings { classes, hazards: Stratify::All, replicates: 0, ..Settings::default() }
}

fn assess(panel: &Panel, settings: &Settings) -> Corrected {
    removal_corrected(panel, windows(), dates(), &[Stratify::All], settings).unwrap()
}

fn small() -> (Evidence, Layout) {
    let world = World { organisations: 70, vantages: 2, dark: 0.3, ..A };
    let settings = Settings { hazards: Stratify::Country, ..settings() };
    let mut evidence =
        Evidence::read(&world.draw(3).0, windows(), dates(), &settings).unwrap();
    // Too small for groups by the rule; the gradient shall be tested with them.
    for (i, unit) in evidence.units.iter_mut().enumerate() {
        unit.group = i % 2;
    }
    evidence.groups = 2;
    let layout = Layout::new(&evidence, 2);
    (evidence, layout)
}

fn place(layout: &Layout, seed: u64) -> Vec<f64> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let intensity = vec![vec![-1.2, -0.4]; 2];
    let controls = vec![vec![-0.9, -0.3, 0.2]; 2];
    let start = layout.start(&intensity, &controls);
    start.iter().map(|x| x + 0.3 * normal(&mut random)).collect()
}

#[test]
fn the_gradient_is_that_of_the_likelihood() {
    let (evidence, layout) = small();
    let likelihood = Likelihood { layout: &layout, evidence: &evidence };
    for seed in 0..2 {
        assert_gradient(&likelihood, &place(&layout, seed));
    }
}

#[test]
fn the_likelihood_is_the_sum_over_all_paths() {
    let (mut evidence, _) = small();
    // So short that all paths can be walked: entry in the first week, seven turns.
    evidence.weeks = 8;
    evidence.after = 6..8;
    evidence.set_sure();
    let short = Layout::new(&evidence, 2);
    let at = place(&short, 5);
    let rates = Rates::new(&short, &evidence, &at);
    let entries = Entries::new(&short, &evidence, &rates);
    let chain = Chain::new(&short, &evidence, &rates, &entries);
    let mut room = Room::default();
    let single = |u: &&Unit| u.views.len() == 1 && u.entry_week == 0;
    let silent = silent_patterns();
    let mut walked = 0;
    for unit in evidence.units.iter().filter(single).take(4) {
        let view = &unit.views[0];
        let (mut sum, mut gone) = (0.0, 0.0);
        for class in 0..6 {
            let entry = entries.product[unit.entry * 2 + class / 3].log
                + entries.control[unit.entry * 3 + class % 3].log;
            let weight = rates.weights[class] / entry.exp();
            for path in 0..1u32 << 14 {
                let state = |week: usize| match week.checked_sub(1) {
                    None => (true, true),
                    Some(w) => (path >> (2 * w) & 1 == 1, path >> (2 * w + 1) & 1 == 1),
                };
                let mut chance = weight;
                for week in 0..8 {
                    let (using, lit) = state(week);
                    let v = view.vantage;
                    let used = rates.product.chance(
                        v,
                        week,
                        view.cells[week].product,
                        class / 3,
                    );
                    let seen = rates.control.chance(
                        v,
                        week,
                        view.cells[week].control,
                        class % 3,
                    );
                    let days = view.cells[week];
                    let shows = |p: u8| !silent[usize::from(p)];
                    chance *= match (using && lit, shows(days.product)) {
                        (true, _) => used,
                        (false, true) => 0.0,
                        (false, false) => 1.0,
                    };
                    if view.control {
                        chance *= match (lit, shows(days.control)) {
                            (true, _) => seen,
                            (false, true) => 0.0,
                            (false, false) => 1.0,
                        };
                    }
                    if week > 0 {
                        let period = evidence.period[week];
                        let use_turn = rates.using[unit.group * short.periods + period];
                        let turn = rates.sight[view.vantage * short.periods + period];
                        let (from, to) = (state(week - 1), (using, lit));
                        for (from, to, turn) in
                            [(from.0, to.0, use_turn), (from.1, to.1, turn)]
                        {
                            chance *= match (from, to) {
                                (true, true) => 1.0 - turn.down,
                                (true, false) => turn.down,
                                (false, true) => turn.up,
                                (false, false) => 1.0 - turn.up,
                            };
                        }
                    }
                }
                sum += chance;
                if !state(6).0 && !state(7).0 {
                    gone += chance;
                }
            }
        }
        let close = |found: f64, expected: f64| {
            assert!((found - expected.ln()).abs() < 1e-9, "{found} {expected}");
        };
        close(chain.likelihood(unit, false, &mut room), sum);
        if gone > 0.0 {
            close(chain.likelihood(unit, true, &mut room), gone);
        }
        walked += 1;
    }
    assert!(walked > 0);
}

/// Bias, coverage and share identified over many seeds.
#[derive(Debug, Default)]
struct Score {
    identified: u32,
    covered: u32,
    bias: f64,
    width: f64,
    naive: f64,
}

fn score(world: World, seeds: u64) -> Score {
    let mut score = Score::default();
    for seed in 0..seeds {
        let (panel, uses) = world.draw(1000 + seed);
        let found = assess(&panel, &settings());
        let truth = truth(&found, &uses);
        let stratum = &found.strata[0];
        if std::env::var("SHOW").is_ok() {
            println!("{truth:.3} {stratum:?} {:?}", found.alarms);
        }
        if let Some(share) = stratum.removal {
            score.identified += 1;
            score.covered += u32::from(share.low <= truth && truth <= share.high);
            score.bias += share.value - truth;
            score.width += share.high - share.low;
        }
    }
    let n = f64::from(score.identified.max(1));
    score.bias /= n;
    score.width /= n;
    println!("{world:?}\n  {score:?} of {seeds}");
    score
}

#[test]
fn worlds_show() {
    let t = std::time::Instant::now();
    for world in [B, NOTHING, F] {
        score(world, 10);
        println!("{:?}", t.elapsed());
    }
}

#[test]
fn timing() {
    for (n, v) in [(2000, 1), (22_000, 1), (22_000, 2)] {
        let world = World { organisations: n, vantages: v, dark: 0.2, ..F };
        let (panel, _) = world.draw(9);
        let t = std::time::Instant::now();
        let evidence = Evidence::read(&panel, windows(), dates(), &settings()).unwrap();
        println!(
            "read {:?} units {} entries {}",
            t.elapsed(),
            evidence.units.len(),
            evidence.entries.len()
        );
        let layout = Layout::new(&evidence, 5);
        let likelihood = Likelihood { layout: &layout, evidence: &evidence };
        let at = layout.start(
            &vec![vec![-1.5, -1.2, -0.9, -0.6, -0.3]; 2],
            &vec![vec![-0.9, -0.3, 0.2]; 2],
        );
        let t = std::time::Instant::now();
        let _ = crate::occupancy::optimum::Objective::evaluate(&likelihood, &at);
        println!("evaluate {:?} parameters {}", t.elapsed(), layout.count);
        let t = std::time::Instant::now();
        let _ = likelihood.score_variance(&at);
        println!("scores {:?}", t.elapsed());
        let t = std::time::Instant::now();
        let found = assess(&panel, &settings());
        println!("all {:?} {:?}", t.elapsed(), found.strata);
    }
}
