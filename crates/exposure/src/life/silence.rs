//! When weeks without contacts show that an exposure is gone.
//!
//! A week counts if its chance of detection is known and at least [`DETECTION_MIN`]: if the
//! product were still in use, a contact would have been seen with that chance. Removal is
//! shown once [`WEEKS_MIN`] weeks count and the chance that all of them missed a user is at
//! most [`MISSED_MAX`].
//!
//! The chance that is known is that of many users. A row that was seen in few of its own weeks
//! while it was in contact is seen no more often afterwards, so its own chance is the most
//! that counts ([`own_chance`]).
//!
//! **Invariant:** a week nobody looked at, or whose chance is not known, shows nothing; of
//! two facts about one week that differ the one that claims less counts.

use std::collections::BTreeSet;

use tidegauge_model::Day;

use super::Facts;
use crate::chance::Chance;
use crate::fact::Quiet;

/// Least weeks that show removal, however good each is: machines are switched off over
/// holidays. Picked by hand, revisit.
pub const WEEKS_MIN: usize = 3;
/// Least chance of detection of a week that counts. Below it a row of weeks says more about
/// the sensor than about the row. Picked by hand, revisit.
pub const DETECTION_MIN: f64 = 0.5;
/// The chance of calling removed what is not.
pub const MISSED_MAX: f64 = 0.05;

/// The weeks after a last contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Weeks that were looked at.
    pub looked: usize,
    /// Those of them that count.
    pub counting: usize,
    /// The most that a week's chance is, by the row's own weeks.
    pub own: f64,
    /// Chance that a user was missed in every week whose chance is known.
    pub missed: f64,
    /// Why the chance of the latest week without one is not known.
    pub unknown: Option<String>,
}

impl Silence {
    /// Of everything after `last`.
    pub(super) fn since(facts: &Facts<'_>, last: Day) -> Self {
        let mut silence = Self::begun(own_chance(facts, last));
        for (_, quiet) in facts.quiet.range(last.plus(1)..) {
            silence.add(quiet);
        }
        silence
    }

    /// The day after which the weeks after `last` show removal. Weeks from the next contact
    /// on say nothing about it: a contact that comes to light later takes silence back.
    pub(super) fn shown_on(facts: &Facts<'_>, last: Day) -> Option<Day> {
        let next = facts.days.range(last.plus(1)..).next();
        let weeks = facts.quiet.range(last.plus(1)..);
        let weeks =
            || weeks.clone().take_while(|(week, _)| next.is_none_or(|n| n > *week));
        weeks().nth(WEEKS_MIN - 1)?;
        let mut silence = Self::begun(own_chance(facts, last));
        for (week, quiet) in weeks() {
            silence.add(quiet);
            if silence.shows() {
                return Some(week.plus(6));
            }
        }
        None
    }

    /// Of no week yet.
    fn begun(own: f64) -> Self {
        Self { looked: 0, counting: 0, own, missed: 1.0, unknown: None }
    }

    fn add(&mut self, quiet: &Quiet) {
        self.looked += 1;
        if let Some(chance) = quiet.detection.map(Chance::value) {
            // The chance is of the days that were looked at; so must the row's own be.
            let days = f64::from(quiet.looked_days.min(7));
            let own = 1.0 - (1.0 - self.own).powf(days / 7.0);
            let chance = chance.min(own);
            self.missed *= 1.0 - chance;
            self.counting += usize::from(chance >= DETECTION_MIN);
        } else {
            let unknown = || "no estimate of visibility was given".to_owned();
            self.unknown = Some(quiet.unknown.clone().unwrap_or_else(unknown));
        }
    }

    fn shows(&self) -> bool {
        self.counting >= WEEKS_MIN && self.missed <= MISSED_MAX
    }

    pub(super) fn why_not_shown(&self) -> String {
        let looked = weeks(self.looked);
        if self.looked == 0 {
            return "of no whole week since is it known that its networks were looked at, so \
                    its end is not shown"
                .to_owned();
        }
        if let Some(why) = self.unknown.as_ref().filter(|_| self.counting < WEEKS_MIN) {
            return format!(
                "{looked} looked at since, but the chance of seeing a user in them is not \
                 known: {why}"
            );
        }
        if self.own < DETECTION_MIN {
            return format!(
                "{looked} looked at since, but while it was in contact it was seen in so few of \
                 its weeks that the chance of seeing it in one is {:.2}; {DETECTION_MIN} is \
                 needed",
                self.own
            );
        }
        format!(
            "{looked} looked at since, of which {} count (chance of seeing a user at least \
             {DETECTION_MIN}); {WEEKS_MIN} are needed, and the chance that a user was missed \
             in all of them is {:.2}, which must be at most {MISSED_MAX}",
            self.counting, self.missed
        )
    }

    pub(super) fn why_shown(&self) -> String {
        let missed = if self.missed < 0.001 {
            "below 0.001".to_owned()
        } else {
            format!("of {:.3}", self.missed)
        };
        format!(
            "{} looked at since; a user would have been missed in all of them with a \
             chance {missed}",
            weeks(self.looked)
        )
    }
}

fn weeks(count: usize) -> String {
    if count == 1 { "1 week was".to_owned() } else { format!("{count} weeks were") }
}

/// The chance that a row with these facts is seen in a week of use, by its own weeks from the
/// first contact to that on `last`: the share of those with a contact. The two at the ends
/// are left out, since the stretch was made to begin and end with a contact, and one week of
/// either kind is added (the rule of succession): a half where nothing lies between. A week that
/// was looked at on some days counts as a whole one, which claims less.
fn own_chance(facts: &Facts<'_>, last: Day) -> f64 {
    let monday = |day: &Day| day.week().monday();
    let seen: BTreeSet<Day> = facts.days.range(..=last).map(monday).collect();
    let silent = match (seen.first(), seen.last()) {
        (Some(first), Some(last)) => facts
            .quiet
            .range(first..last)
            .filter(|(week, _)| !seen.contains(week))
            .count(),
        _ => 0,
    };
    let between = seen.len().saturating_sub(2);
    let real = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    real(between + 1) / real(between + silent + 2)
}

/// Of two facts about one week: the one that looked at more days; then one with a known
/// chance; then the one that claims less.
pub(super) fn better<'a>(a: &'a Quiet, b: &'a Quiet) -> &'a Quiet {
    let rank = |quiet: &Quiet| {
        let known = quiet.detection.is_some();
        (quiet.looked_days, known, std::cmp::Reverse(quiet.detection))
    };
    // The rest only breaks ties, so that the order of facts says nothing.
    let full = |quiet: &'a Quiet| (rank(quiet), &quiet.vantages, &quiet.unknown);
    if full(b) > full(a) { b } else { a }
}
