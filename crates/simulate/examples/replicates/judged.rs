//! One replicate: drawn, estimated, and laid beside what is true.
//!
//! **Invariant:** what is estimated never sees what is true.

use serde::{Deserialize, Serialize};
use tidegauge_effect::attribution::doubt::{Doubt, doubted};
use tidegauge_effect::occupancy::weekly::{
    ActDates, Corrected, Settings, Share, StratumRemoval, removal_corrected,
};
use tidegauge_effect::{Active, Stratify, Windows};
use tidegauge_model::estimate::Identification;
use tidegauge_model::panel::Panel;
use tidegauge_model::{Day, DayRange, Month};
use tidegauge_simulate::{Replicate, Replicates};

use crate::Failure;

const ACTIVE: Active = Active { days_min: 2 };

/// What came out of one replicate; shares as parts of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) seed: u64,
    pub(crate) took_ms: u64,
    /// Removal of the whole: what is true, and what was estimated if it was.
    pub(crate) truth: f64,
    pub(crate) estimate: Option<Estimate>,
    /// Why the whole has no estimate.
    pub(crate) refused: Option<String>,
    /// Share of the cohort that is not seen in the later window.
    pub(crate) as_seen: f64,
    pub(crate) alarmed: bool,
    /// Strata with an answer; and of these covered, without and with attribution.
    pub(crate) strata: u32,
    pub(crate) strata_covered: [u32; 2],
    /// Whether the United States and Germany differ at 5 %, if both have an answer.
    pub(crate) differ: Option<bool>,
}

/// Removal of the whole, with its intervals without and with the error of attribution.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    pub(crate) own: [f64; 2],
    pub(crate) all: [f64; 2],
}

/// Draws the replicate of `seed`, estimates it, and lays it beside its truth.
pub(crate) fn judged(of: &Replicates, seed: u64) -> Result<Judged, Failure> {
    let began = std::time::Instant::now();
    let replicate = of.draw(seed)?;
    let found = estimated(&replicate, seed)?;
    let whole = found.corrected.strata.first().ok_or("nobody is in the cohort")?;
    let truth = Truth::of(&replicate, whole)?;
    let refused = match &whole.identified {
        Identification::NotIdentified(rule) => Some(rule.clone()),
        Identification::Identified | Identification::Mixed(_) => None,
    };
    let mut judged = Judged {
        seed,
        took_ms: 0,
        truth: truth.removal,
        estimate: None,
        refused,
        as_seen: truth.as_seen,
        alarmed: !found.corrected.alarms.is_empty(),
        strata: 0,
        strata_covered: [0, 0],
        differ: differ(&found.corrected),
    };
    for (stratum, all) in found.corrected.strata.iter().zip(&found.all) {
        let (Some(own), Some(all)) = (stratum.removal, *all) else { continue };
        if stratum.stratum.is_empty() {
            let [own_ends, all_ends] = [own, all].map(|s| [s.low, s.high]);
            judged.estimate =
                Some(Estimate { value: own.value, own: own_ends, all: all_ends });
            continue;
        }
        let removal = Truth::of(&replicate, stratum)?.removal;
        let holds = |s: Share| u32::from((s.low..=s.high).contains(&removal));
        judged.strata += 1;
        judged.strata_covered[0] += holds(own);
        judged.strata_covered[1] += holds(all);
    }
    judged.took_ms = u64::try_from(began.elapsed().as_millis())?;
    Ok(judged)
}

/// What is estimated, with all errors by stratum.
struct Estimated {
    corrected: Corrected,
    all: Vec<Option<Share>>,
}

fn estimated(of: &Replicate, seed: u64) -> Result<Estimated, Failure> {
    let ways = [Stratify::All, Stratify::Country, Stratify::Sector];
    let corrected = corrected(&of.panel, &ways)?;
    // A holder's own row of the registry says .9 (registry of `simulate`).
    let networks = of.networks(windows()?.before());
    let chance = |n: usize| 0.1f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let false_chance =
        networks.into_iter().map(|(name, n)| (name, chance(n))).collect();
    let doubt = Doubt { false_chance: &false_chance, draws: 99, seed };
    let found = doubted(&corrected, &of.panel, &ways, doubt);
    let all =
        corrected.strata.iter().map(|s| found.get(&s.stratum).map(|d| d.all)).collect();
    Ok(Estimated { corrected, all })
}

/// The model's answer, as `tidegauge assess` asks for it.
pub(crate) fn corrected(
    panel: &Panel,
    ways: &[Stratify],
) -> Result<Corrected, Failure> {
    let day = |text: &str| -> Result<Day, _> { text.parse() };
    let dates = ActDates {
        announced: Some(day("2024-06-20")?),
        effective: Some(day("2024-09-29")?),
    };
    let settings = Settings { active: ACTIVE, ..Settings::default() };
    Ok(removal_corrected(panel, windows()?, dates, ways, &settings)?)
}

fn windows() -> Result<Windows, Failure> {
    let month = |text: &str| -> Result<DayRange, Failure> {
        Ok(DayRange::month(text.parse::<Month>()?))
    };
    Ok(Windows::new(month("2024-04")?, month("2024-11")?)?)
}

/// Whether removal of the United States and of Germany differ at 5 %; `None` if one of
/// them has no answer.
fn differ(found: &Corrected) -> Option<bool> {
    let of = |code: &str| {
        let wanted = [("country".to_owned(), code.to_owned())];
        let stratum = found.strata.iter().find(|s| s.stratum == wanted)?;
        Some((stratum.removal?.value, stratum.errors?.of_population()))
    };
    let ((a, se_a), (b, se_b)) = (of("US")?, of("DE")?);
    Some((a - b).abs() > 1.959_964 * se_a.hypot(se_b))
}

/// What is true of a stratum's cohort, and what is seen of it.
struct Truth {
    removal: f64,
    as_seen: f64,
}

impl Truth {
    fn of(replicate: &Replicate, stratum: &StratumRemoval) -> Result<Self, Failure> {
        let windows = windows()?;
        let (mut members, mut gone, mut unseen) = (0.0, 0.0, 0.0);
        let histories = &replicate.panel.histories;
        for of in histories.chunk_by(|a, b| a.organisation == b.organisation) {
            let place = |dimension: &str| match dimension {
                "country" => of[0].country.map(|c| c.to_string()),
                _ => of[0].sector.as_ref().map(ToString::to_string),
            };
            if !stratum.stratum.iter().all(|(d, v)| place(d).as_ref() == Some(v)) {
                continue;
            }
            let days = |window: DayRange| {
                let mut united = of[0].clone();
                for other in &of[1..] {
                    let cells = united.weeks.iter_mut().zip(&other.weeks);
                    cells.for_each(|(into, from)| into.seen |= from.seen);
                }
                united.seen_days(replicate.panel.days, window)
            };
            if days(windows.before()) < ACTIVE.days_min {
                continue;
            }
            let used = replicate.used(&of[0].organisation, windows.after());
            members += 1.0;
            gone += f64::from(u8::from(!used));
            unseen += f64::from(u8::from(days(windows.after()) < ACTIVE.days_min));
        }
        let n = f64::max(members, 1.0);
        Ok(Self { removal: gone / n, as_seen: unseen / n })
    }
}
