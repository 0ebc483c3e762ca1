//! From a panel to times of removal known to lie between two weeks (methods, section 1).
//!
//! An organisation's last sighting is followed by silence. It is a removal only if the
//! silence is longer than the organisation's own habits explain: with a chance d to be
//! seen in a week, longer than `ln .01 / ln(1 - d)` weeks, and never less than two. A
//! shorter silence, or one in which nothing was looked at, is the end of looking.
//!
//! **Invariant:** weeks not looked at are no silence; an organisation whose controls fell
//! silent with the product is not removed but out of sight.

use tidegauge_model::panel::{History, Panel, WeekCell};
use tidegauge_model::{Country, DayRange, OrgId, SectorId};

use super::competing::Left;
use super::turnbull::Between;
use super::{Followed, SurvivalRefused};
use crate::Active;
use crate::activity::organisations;
use crate::regression::count;

/// Chance of so long a silence of an organisation that still uses the product.
const SILENCE_CHANCE: f64 = 0.01;
/// Shortest silence that is one, in weeks: clients warn after 3 days and alarm after 7.
const SILENCE_MIN: usize = 2;
/// Weeks in a row that nobody may have looked at: whoever leaves in longer ones leaves, by
/// their latest time, all at once, and by their earliest too.
const GAP_MAX: usize = SILENCE_MIN;

/// No panel is longer: an organisation that needs more is never known to be gone.
const SILENCE_MAX: usize = 10_000;

/// The time in use of one organisation, in weeks from the first of the origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// Which.
    pub organisation: OrgId,
    /// Its family.
    pub family: OrgId,
    /// Where.
    pub country: Option<Country>,
    /// Its sector.
    pub sector: Option<SectorId>,
    /// Week of the last sighting, counted so that the first week is 1.
    pub last_seen: u32,
    /// The next week looked at, by which it was gone; `None` if it is not known to be.
    pub gone_by: Option<u32>,
    /// Week of the last sighting of all, and the next week looked at by which it was gone
    /// for good; `None` if it is not known to be. Who came back is not gone: a habit of few
    /// sightings has a silence of chance once in a hundred, and many chances.
    pub for_good: (u32, Option<u32>),
    /// The last week by which it could have been found gone: enough weeks after the one
    /// before were looked at to tell a removal from a silence of habit; 0 if there is none.
    /// Whoever is not gone is followed up to here: to follow them to their last sighting
    /// would count late weeks in which nobody could have been found gone.
    pub told_until: u32,
    /// Whether it came back after a silence that was a removal; the time is then that of
    /// the first removal.
    pub relapsed: bool,
}

/// Times in use from `origin` on of those active in its days and seen in it.
pub fn uses(
    panel: &Panel,
    origin: DayRange,
    active: Active,
) -> Result<Vec<Use>, SurvivalRefused> {
    let refused = SurvivalRefused::NobodyAtRisk("in the weeks asked for");
    let Some(first) = panel.week_index(origin.first()) else { return Err(refused) };
    let missing = longest_gap(panel, first);
    if missing > GAP_MAX {
        return Err(SurvivalRefused::WeeksMissing(missing));
    }
    let found: Vec<Use> = organisations(panel)
        .into_iter()
        .filter(|h| active.holds(h, panel.days, origin))
        .filter_map(|h| follow(h, first))
        .collect();
    if found.is_empty() { Err(refused) } else { Ok(found) }
}

/// The most weeks in a row, from week `first` on and before the last that was looked at, in
/// which nobody looked at anybody.
fn longest_gap(panel: &Panel, first: usize) -> usize {
    let weeks = panel.histories.iter().map(|h| h.weeks.len()).max().unwrap_or(0);
    let looked = |week: usize| {
        let mut of = panel.histories.iter().filter_map(|h| h.weeks.get(week));
        of.any(|cell| cell.visible | cell.seen | cell.control != 0)
    };
    let (mut longest, mut gap) = (0, 0);
    for week in (first..weeks).skip_while(|week| !looked(*week)) {
        if looked(week) {
            longest = longest.max(gap);
            gap = 0;
        } else {
            gap += 1;
        }
    }
    longest
}

/// Whether a week was looked at, and the product seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Not,
    Silent,
    Seen,
}

fn follow(history: History, first: usize) -> Option<Use> {
    let weeks = history.weeks.get(first..)?;
    let controlled = weeks.iter().filter(|w| w.control != 0).count() > SILENCE_MIN;
    let looks: Vec<Look> = weeks.iter().map(|w| look(*w, controlled)).collect();
    let seen: Vec<usize> =
        (0..looks.len()).filter(|w| looks[*w] == Look::Seen).collect();
    let (start, end) = (*seen.first()?, *seen.last()?);
    let looked =
        |from: usize, to: usize| looks[from..to].iter().filter(|l| **l != Look::Not);
    // Both ends are seen by choice; what lies between is not.
    let between = looked(start, end + 1).count().saturating_sub(2);
    let hits = seen.len().saturating_sub(2);
    let chance = (count(hits) + 0.5) / (count(between) + 1.0);
    let silence = silence_min(chance);
    let is_removal = |after: usize, before: usize| {
        looked(after + 1, before).filter(|l| **l == Look::Silent).count() >= silence
    };
    let ends = seen.iter().skip(1).copied().chain([looks.len()]);
    let removed =
        seen.iter().copied().zip(ends).find(|(at, end)| is_removal(*at, *end));
    let week = |at: usize| u32::try_from(at + 1).unwrap_or(u32::MAX);
    let silent_from = |(at, end): (usize, usize)| {
        (at + 1..end).find(|w| looks[*w] == Look::Silent).map(week)
    };
    let gone_by = removed.and_then(silent_from);
    let rest = (end, looks.len());
    let gone_for_good = is_removal(rest.0, rest.1).then(|| silent_from(rest)).flatten();
    let told = |at: &usize| looked(*at, looks.len()).count() >= silence;
    let told_until = (0..looks.len()).rev().find(told).map_or(0, |at| at + 1);
    Some(Use {
        for_good: (week(end), gone_for_good),
        told_until: u32::try_from(told_until).unwrap_or(u32::MAX),
        organisation: history.organisation,
        family: history.family,
        country: history.country,
        sector: history.sector,
        last_seen: week(removed.map_or(end, |(at, _)| at)),
        relapsed: removed.is_some_and(|(at, _)| at < end),
        gone_by,
    })
}

fn look(week: WeekCell, controlled: bool) -> Look {
    if week.seen != 0 {
        Look::Seen
    } else if week.visible == 0 || (controlled && week.control == 0) {
        Look::Not
    } else {
        Look::Silent
    }
}

/// Weeks of silence that are a removal at this chance to be seen.
fn silence_min(chance: f64) -> usize {
    let longest = SILENCE_CHANCE.ln() / (-chance.min(0.999)).ln_1p();
    let enough = |weeks: &usize| count(*weeks) >= longest;
    (SILENCE_MIN..SILENCE_MAX).find(enough).unwrap_or(SILENCE_MAX)
}

impl Use {
    /// Weeks after week `from` in which it was followed, and whether it was gone for good
    /// by the last; `None` if it was gone by `from`, or nothing can be told of it later.
    pub fn weeks_from(&self, from: u32) -> Option<(u32, bool)> {
        let gone = self.for_good.1;
        let weeks = gone.unwrap_or(self.told_until).checked_sub(from)?;
        (weeks > 0).then_some((weeks, gone.is_some()))
    }

    /// The same at its latest, for the other estimators.
    pub fn followed(&self, from: u32) -> Option<Followed> {
        let (exit, event) = self.weeks_from(from)?;
        Some(Followed { entry: 0.0, exit: f64::from(exit), event })
    }

    /// The same as an interval, for [`super::turnbull`].
    pub fn between(&self, from: u32) -> Option<Between> {
        let Followed { exit, event, .. } = self.followed(from)?;
        Some(if event {
            let after = f64::from(self.for_good.0.saturating_sub(from));
            Between { after, by: exit }
        } else {
            Between { after: exit, by: f64::INFINITY }
        })
    }

    /// The same with where it went, for [`super::competing`].
    pub fn left_to(&self, from: u32, kind: usize, cluster: u64) -> Option<Left> {
        let Followed { entry, exit, event } = self.followed(from)?;
        Some(Left { entry, exit, kind: event.then_some(kind), cluster })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a week: `x` seen, `.` silent, `-` not looked at.
    fn of(text: &str) -> Option<Use> {
        let week = |letter: char| WeekCell {
            seen: u8::from(letter == 'x'),
            visible: u8::from(letter != '-'),
            control: 0,
        };
        let history = History {
            organisation: "o".into(),
            family: "o".into(),
            country: None,
            sector: None,
            vantage: "v".into(),
            weeks: text.chars().map(week).collect(),
        };
        follow(history, 0)
    }

    #[test]
    fn silence_ends_use_only_where_habits_do_not_explain_it() {
        let often = of("xxxxxxxx..").unwrap();
        assert_eq!((often.last_seen, often.gone_by), (8, Some(9)));
        let rarely = of("x....x..x...x....").unwrap();
        assert_eq!((rarely.last_seen, rarely.gone_by), (13, None));
        let unseen = of("xxxxxxxx-----").unwrap();
        assert_eq!(unseen.gone_by, None, "not looked at");
        assert_eq!((often.told_until, unseen.told_until), (9, 7));
        let skipped = of("xxxxxxxx-...").unwrap();
        assert_eq!(skipped.gone_by, Some(10), "the next week looked at");
        assert_eq!(of("....."), None);
    }

    #[test]
    fn coming_back_is_told() {
        let found = of("xxxxxxxxxxxx......xxxxxx").unwrap();
        assert_eq!((found.last_seen, found.relapsed), (12, true));
        assert_eq!((found.for_good, found.told_until), ((24, None), 21));
        let once_more = of("xxxxxxxxxxxx......xxxxxx....").unwrap();
        assert_eq!((once_more.gone_by, once_more.for_good), (Some(13), (24, Some(25))));
    }

    #[test]
    fn who_falls_silent_with_its_controls_is_out_of_sight() {
        let mut weeks = vec![WeekCell { seen: 1, visible: 1, control: 1 }; 8];
        weeks.extend([WeekCell { seen: 0, visible: 1, control: 0 }; 6]);
        let history = History {
            organisation: "o".into(),
            family: "o".into(),
            country: None,
            sector: None,
            vantage: "v".into(),
            weeks,
        };
        assert_eq!(follow(history, 0).unwrap().gone_by, None);
    }

    #[test]
    fn the_rarest_need_the_longest_silence() {
        assert_eq!(silence_min(0.12), 37);
        assert_eq!(silence_min(1.0), SILENCE_MIN);
        assert_eq!(silence_min(0.9), 2);
    }
}
