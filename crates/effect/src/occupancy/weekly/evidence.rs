//! A panel as the weekly model reads it: the baseline cohort, week by week.
//!
//! The cohort are the organisations active in the window before. A vantage counts for an
//! organisation if it saw the product there in that window: what is taken is decided by
//! the window before alone, so that what comes later is free to say anything.
//!
//! **Invariant:** weeks run from the first of the window before to the last of the window
//! after; days outside are no evidence. A vantage looked on a day at all its organisations or
//! at none.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use tidegauge_model::panel::{History, Panel, WeekCell};
use tidegauge_model::{Day, DayRange, OrgId, VantageId};

use super::{ActDates, Refusal, Settings};
use crate::activity::{organisations, unite};
use crate::interval::as_f64;
use crate::{Stratify, Windows};

/// Vantages of one organisation that are followed: states double with each. The ones that
/// saw it most are kept. Picked by hand, revisit.
pub(crate) const VIEWS_MAX: usize = 3;
/// Fewer organisations than this have no hazard of their own; they share one. Picked by
/// hand, revisit.
const GROUP_MIN: usize = 100;
/// Groups with a hazard of their own, the largest first. Picked by hand, revisit.
const GROUPS_MAX: usize = 12;
/// Organisations of a group in a sample, at least, if it has as many.
const SAMPLE_MIN: usize = 200;
/// A cohort smaller than this is not modelled: there are about as many parameters.
pub(crate) const COHORT_MIN: usize = 60;
/// Weeks between the first and last, at least: twice the shortest of windows.
const WEEKS_MIN: usize = 6;
/// Weeks in which the product's visibility is allowed to part from that of controls.
const BLOCK_WEEKS: usize = 4;
/// Organisations of a vantage from which it has a visibility curve. Picked by hand, revisit.
const CURVED_MIN: u64 = 40;
/// Share of a vantage's organisations with controls from which it has a sight state.
const CONTROLLED_MIN: f64 = 0.2;

/// Days with a sighting and without, of weekdays and of weekend days, as one number.
pub(crate) type Pattern = u8;

/// How many patterns there are: 21 of up to five weekdays, 6 of up to two others.
pub(crate) const PATTERNS: usize = 126;

/// The days on which each vantage looked at all, week by week of the panel: those on which
/// it had any of the organisations in its footprint. The footprint of one organisation says
/// less than it seems to: a quiet organisation is in it on the days it uses the product.
fn covered(panel: &Panel) -> BTreeMap<VantageId, Vec<u8>> {
    let mut covered: BTreeMap<VantageId, Vec<u8>> = BTreeMap::new();
    for history in &panel.histories {
        let weeks = covered
            .entry(history.vantage.clone())
            .or_insert_with(|| vec![0; history.weeks.len()]);
        for (days, cell) in weeks.iter_mut().zip(&history.weeks) {
            *days |= cell.visible | cell.seen | cell.control;
        }
    }
    covered
}

/// The pattern of the days `seen` among the days `looked`, bits from Monday.
pub(crate) fn pattern(seen: u8, looked: u8) -> Pattern {
    let count = |bits: u8| u8::try_from(bits.count_ones()).unwrap_or(0);
    let half = |mask: u8| (count(looked & mask), count(seen & looked & mask));
    let (weekdays, of_weekdays) = half(0b001_1111);
    let (others, of_others) = half(0b110_0000);
    let triangle = |n: u8| n * (n + 1) / 2;
    (triangle(weekdays) + of_weekdays) * 6 + triangle(others) + of_others
}

/// For each pattern: days seen and missed on weekdays, seen and missed on others.
pub(crate) fn pattern_days() -> Vec<[u8; 4]> {
    let mut days = Vec::with_capacity(PATTERNS);
    for weekdays in 0..=5u8 {
        for of_weekdays in 0..=weekdays {
            for others in 0..=2u8 {
                for of_others in 0..=others {
                    let missed = (weekdays - of_weekdays, others - of_others);
                    days.push([of_weekdays, missed.0, of_others, missed.1]);
                }
            }
        }
    }
    days
}

/// For each pattern, whether nothing was seen.
pub(crate) fn silent_patterns() -> [bool; PATTERNS] {
    let mut silent = [false; PATTERNS];
    for (silent, days) in silent.iter_mut().zip(pattern_days()) {
        *silent = days[0] == 0 && days[2] == 0;
    }
    silent
}

/// For each pattern, its chance while the product is not used but sight is on: noise
/// shows one day of a week or none, each of the seven alike.
pub(crate) fn noise_chances(noise: f64) -> [f64; PATTERNS] {
    let mut chances = [0.0; PATTERNS];
    for (chance, days) in chances.iter_mut().zip(pattern_days()) {
        let looked = f64::from(days.iter().sum::<u8>());
        *chance = match days[0] + days[2] {
            0 => 1.0 - noise * looked / 7.0,
            1 => noise / 7.0,
            _ => 0.0,
        };
    }
    chances
}

/// One week of an organisation at a vantage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) product: Pattern,
    pub(crate) control: Pattern,
}

/// An organisation as seen from one vantage.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) vantage: usize,
    /// Whether a control was seen in the window before: only then later silence of
    /// controls says anything.
    pub(crate) control: bool,
    pub(crate) cells: Vec<Cell>,
    /// Days looked at in each week.
    pub(crate) looked: Vec<u8>,
}

/// An organisation of the cohort.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) organisation: OrgId,
    /// Where it stands, for strata: a history without weeks.
    pub(crate) place: History,
    pub(crate) group: usize,
    /// How many organisations it stands for: itself, and in a sample others.
    pub(crate) weight: f64,
    pub(crate) family: usize,
    /// Week in which it became a member: with the m-th day seen in the window before.
    pub(crate) entry_week: usize,
    /// Which way in: index into [`Evidence::entries`].
    pub(crate) entry: usize,
    pub(crate) views: Vec<View>,
    /// Weeks whose state is known: those up to entry, and those in which every view saw
    /// the product on more days than noise can.
    pub(crate) sure: Vec<bool>,
    /// Turns after entry from a sure week to a sure week, by period.
    pub(crate) sure_turns: Vec<f64>,
    /// Whether it was seen in the window after, from whatever vantage, as noise is not.
    pub(crate) seen_after: bool,
}

/// What was looked at in the window before: organisations with equal entries had the
/// same chances to become members.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Vantage, whether with controls, days looked at in each week.
    pub(crate) views: Vec<(usize, bool, Vec<u8>)>,
}

/// All that the model reads.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) first_monday: Day,
    pub(crate) weeks: usize,
    /// Weeks of the window before: always the first.
    pub(crate) before: usize,
    /// Weeks of the window after.
    pub(crate) after: Range<usize>,
    pub(crate) vantages: Vec<VantageId>,
    /// Whether a vantage sees enough controls for a sight state.
    pub(crate) controlled: Vec<bool>,
    /// Whether it sees enough organisations for a visibility of its own in each week; at
    /// others visibility is taken to stay.
    pub(crate) curved: Vec<bool>,
    pub(crate) groups: usize,
    /// Before the act, between announcement and effect, after; for each week.
    pub(crate) period: Vec<usize>,
    pub(crate) periods: usize,
    /// Block of each week in which the product's visibility may part from the controls'.
    pub(crate) block: Vec<usize>,
    pub(crate) blocks: usize,
    pub(crate) days_min: usize,
    /// Chance of a lone day of noise in a week.
    pub(crate) noise: f64,
    pub(crate) units: Vec<Unit>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) families: usize,
}

impl Evidence {
    /// Reads `panel`.
    pub(crate) fn read(
        panel: &Panel,
        windows: Windows,
        dates: ActDates,
        settings: &Settings,
    ) -> Result<Self, Refusal> {
        let span = DayRange::new(windows.before().first(), windows.after().last())
            .ok_or(Refusal::NoPanel)?;
        if !panel.days.contains(span.first()) || !panel.days.contains(span.last()) {
            return Err(Refusal::Outside { windows: span, panel: panel.days });
        }
        let first_monday = span.first().week().monday();
        let weeks = span.weeks().count();
        if weeks < WEEKS_MIN {
            return Err(Refusal::FewWeeks { weeks, least: WEEKS_MIN });
        }
        let before = windows.before().weeks().count();
        let after = weeks - windows.after().weeks().count()..weeks;
        let (period, periods) = periods(first_monday, weeks, dates);
        let block = |week: usize| {
            week.saturating_sub(before) / BLOCK_WEEKS + usize::from(week >= before)
        };
        let block: Vec<usize> = (0..weeks).map(block).collect();
        let mut evidence = Self {
            first_monday,
            weeks,
            before,
            after,
            vantages: vantages(panel),
            controlled: Vec::new(),
            curved: Vec::new(),
            groups: 1,
            period,
            periods,
            blocks: block.last().map_or(1, |b| b + 1),
            block,
            days_min: usize::try_from(settings.active.days_min.max(1)).unwrap_or(1),
            noise: settings.noise,
            units: Vec::new(),
            entries: Vec::new(),
            families: 0,
        };
        evidence.take_cohort(panel, windows, settings)?;
        evidence.set_controlled();
        evidence.set_groups(settings.hazards);
        evidence.set_entries(windows.before());
        evidence.set_sure();
        Ok(evidence)
    }

    /// About so many organisations that stand for all: of each group an even choice in
    /// order of name, of small groups more.
    pub(crate) fn sample(&self, size: usize) -> Self {
        let mut units = Vec::new();
        for group in 0..self.groups {
            let members: Vec<&Unit> =
                self.units.iter().filter(|unit| unit.group == group).collect();
            let share = (size * members.len()).div_ceil(self.units.len().max(1));
            let taken = share.max(SAMPLE_MIN).min(members.len());
            let number = |n: usize| as_f64(u64::try_from(n).unwrap_or(u64::MAX));
            let weight = number(members.len()) / number(taken.max(1));
            let chosen = (0..taken).map(|i| members[i * members.len() / taken]);
            units.extend(chosen.map(|unit| Unit { weight, ..unit.clone() }));
        }
        Self { units, ..self.clone_without_units() }
    }

    fn clone_without_units(&self) -> Self {
        Self {
            units: Vec::new(),
            vantages: self.vantages.clone(),
            controlled: self.controlled.clone(),
            curved: self.curved.clone(),
            period: self.period.clone(),
            block: self.block.clone(),
            entries: self.entries.clone(),
            after: self.after.clone(),
            ..*self
        }
    }

    /// The Monday of a week.
    pub(crate) fn monday(&self, week: usize) -> Day {
        self.first_monday.plus(7 * i32::try_from(week).unwrap_or(i32::MAX))
    }

    fn take_cohort(
        &mut self,
        panel: &Panel,
        windows: Windows,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let mut views: BTreeMap<&OrgId, BTreeMap<&VantageId, Cow<'_, History>>> =
            BTreeMap::new();
        for history in &panel.histories {
            let of = views.entry(&history.organisation).or_default();
            of.entry(&history.vantage)
                .and_modify(|known| unite(&mut known.to_mut().weeks, &history.weeks))
                .or_insert(Cow::Borrowed(history));
        }
        let offset = panel.week_index(windows.before().first()).unwrap_or(0);
        let covered = covered(panel);
        let mut families: BTreeMap<OrgId, usize> = BTreeMap::new();
        for united in organisations(panel) {
            if !settings.active.holds(&united, panel.days, windows.before()) {
                continue;
            }
            let mut of: Vec<(u32, &History)> = views[&united.organisation]
                .values()
                .map(|h| (h.seen_days(panel.days, windows.before()), h.as_ref()))
                .filter(|(seen, _)| *seen > 0)
                .collect();
            of.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.vantage.cmp(&b.1.vantage)));
            of.truncate(VIEWS_MAX);
            let views: Vec<View> = of
                .iter()
                .map(|(_, h)| self.view(h, &covered[&h.vantage], offset, windows))
                .collect();
            let Some(entry_week) = self.entry_week(&of, offset, windows.before())
            else {
                continue;
            };
            let count = families.len();
            let family = *families.entry(united.family.clone()).or_insert(count);
            self.units.push(Unit {
                organisation: united.organisation.clone(),
                seen_after: self.seen_after(&united, panel, windows),
                group: 0,
                weight: 1.0,
                family,
                entry_week,
                entry: 0,
                sure_turns: Vec::new(),
                sure: Vec::new(),
                views,
                place: History { weeks: Vec::new(), ..united },
            });
        }
        self.families = families.len();
        if self.units.len() < COHORT_MIN {
            return Err(Refusal::FewOrganisations {
                organisations: self.units.len(),
                least: COHORT_MIN,
            });
        }
        Ok(())
    }

    fn view(
        &self,
        history: &History,
        covered: &[u8],
        offset: usize,
        windows: Windows,
    ) -> View {
        let span = DayRange::new(windows.before().first(), windows.after().last());
        let cells: Vec<WeekCell> = (0..self.weeks)
            .map(|week| {
                let cell =
                    history.weeks.get(offset + week).copied().unwrap_or_default();
                let mask = span.map_or(0, |span| days_in(self.monday(week), span));
                let looked = covered.get(offset + week).copied().unwrap_or_default();
                WeekCell {
                    seen: cell.seen & mask,
                    control: cell.control & mask,
                    visible: looked & mask,
                }
            })
            .collect();
        let control = (0..self.before).any(|week| {
            cells[week].control & days_in(self.monday(week), windows.before()) != 0
        });
        let vantage = self.vantages.binary_search(&history.vantage).unwrap_or(0);
        View {
            vantage,
            control,
            looked: cells.iter().map(|c| c.visible).collect(),
            cells: cells
                .iter()
                .map(|c| Cell {
                    product: pattern(c.seen, c.visible),
                    control: pattern(c.control, c.visible),
                })
                .collect(),
        }
    }

    /// Whether a week of the window after shows more days than noise can.
    fn seen_after(&self, united: &History, panel: &Panel, windows: Windows) -> bool {
        let monday = panel.days.first().week().monday();
        let least = if self.noise > 0.0 { 2 } else { 1 };
        (0i32..).zip(&united.weeks).any(|(week, cell)| {
            let mask = days_in(monday.plus(7 * week), windows.after());
            (cell.seen & mask).count_ones() >= least
        })
    }

    /// The week of the m-th distinct day on which any of the views saw the product.
    fn entry_week(
        &self,
        views: &[(u32, &History)],
        offset: usize,
        before: DayRange,
    ) -> Option<usize> {
        let mut days = 0;
        (0..self.before).find(|week| {
            let seen = views.iter().fold(0, |bits, (_, h)| {
                bits | h.weeks.get(offset + week).map_or(0, |c| c.seen)
            });
            days += (seen & days_in(self.monday(*week), before)).count_ones();
            usize::try_from(days).unwrap_or(0) >= self.days_min
        })
    }

    /// A vantage has a sight state if enough of its organisations have controls, and a curve
    /// if there are enough of them.
    fn set_controlled(&mut self) {
        let mut counts = vec![(0u64, 0u64); self.vantages.len()];
        for view in self.units.iter().flat_map(|u| &u.views) {
            counts[view.vantage].0 += u64::from(view.control);
            counts[view.vantage].1 += 1;
        }
        self.controlled = counts
            .iter()
            .map(|(with, all)| {
                *with >= 20 && as_f64(*with) >= CONTROLLED_MIN * as_f64(*all)
            })
            .collect();
        self.curved = counts.iter().map(|(_, all)| *all >= CURVED_MIN).collect();
        for unit in &mut self.units {
            for view in &mut unit.views {
                view.control &= self.controlled[view.vantage];
            }
        }
    }

    /// Gives the large strata a hazard of their own and the rest one together.
    fn set_groups(&mut self, hazards: Stratify) {
        let mut sizes: BTreeMap<_, usize> = BTreeMap::new();
        for unit in &self.units {
            *sizes.entry(hazards.of(&unit.place)).or_default() += 1;
        }
        let mut large: Vec<_> =
            sizes.into_iter().filter(|(_, n)| *n >= GROUP_MIN).collect();
        large.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        large.truncate(GROUPS_MAX);
        let group = |unit: &Unit| {
            let stratum = hazards.of(&unit.place);
            large.iter().position(|(of, _)| *of == stratum).unwrap_or(large.len())
        };
        let groups: Vec<usize> = self.units.iter().map(group).collect();
        for (unit, group) in self.units.iter_mut().zip(&groups) {
            unit.group = *group;
        }
        self.groups = groups.iter().max().map_or(1, |g| g + 1);
    }

    /// Finds the weeks whose state is known.
    pub(crate) fn set_sure(&mut self) {
        let unused = noise_chances(self.noise);
        for unit in &mut self.units {
            let shown = |week: usize| {
                let seen = |v: &View| unused[usize::from(v.cells[week].product)] <= 0.0;
                week <= unit.entry_week || unit.views.iter().all(seen)
            };
            unit.sure = (0..self.weeks).map(shown).collect();
            unit.sure_turns = vec![0.0; self.periods];
            for week in unit.entry_week + 1..self.weeks {
                if unit.sure[week - 1] && unit.sure[week] {
                    unit.sure_turns[self.period[week]] += 1.0;
                }
            }
        }
    }

    fn set_entries(&mut self, before: DayRange) {
        let mut known: BTreeMap<Entry, usize> = BTreeMap::new();
        let masks: Vec<u8> =
            (0..self.before).map(|w| days_in(self.monday(w), before)).collect();
        for unit in &mut self.units {
            let of = |view: &View| {
                let looked = view.looked.iter().zip(&masks).map(|(l, m)| l & m);
                (view.vantage, view.control, looked.collect())
            };
            let entry = Entry { views: unit.views.iter().map(of).collect() };
            let count = known.len();
            unit.entry = *known.entry(entry).or_insert(count);
        }
        let mut entries: Vec<_> = known.into_iter().collect();
        entries.sort_by_key(|(_, index)| *index);
        self.entries = entries.into_iter().map(|(entry, _)| entry).collect();
    }
}

fn vantages(panel: &Panel) -> Vec<VantageId> {
    let mut vantages: Vec<_> =
        panel.histories.iter().map(|h| h.vantage.clone()).collect();
    vantages.sort();
    vantages.dedup();
    vantages
}

/// The period of each week: how many of the act's dates have come by its Monday.
fn periods(first: Day, weeks: usize, dates: ActDates) -> (Vec<usize>, usize) {
    let mut cuts: Vec<Day> =
        dates.announced.into_iter().chain(dates.effective).collect();
    cuts.sort();
    let monday = |week: usize| first.plus(7 * i32::try_from(week).unwrap_or(i32::MAX));
    let raw: Vec<usize> = (0..weeks)
        .map(|week| cuts.iter().filter(|cut| **cut <= monday(week)).count())
        .collect();
    // A period without a week is none.
    let mut present = raw.clone();
    present.dedup();
    let period =
        raw.iter().map(|p| present.iter().position(|q| q == p).unwrap_or(0)).collect();
    (period, present.len())
}

/// Bits of the days of the week beginning on `monday` that lie in `range`.
pub(crate) fn days_in(monday: Day, range: DayRange) -> u8 {
    (0..7u8)
        .filter(|d| range.contains(monday.plus(i32::from(*d))))
        .fold(0, |mask, d| mask | 1 << d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_number_the_days_seen_and_missed() {
        let days = pattern_days();
        assert_eq!(days.len(), PATTERNS);
        for looked in 0..128u8 {
            for seen in (0..128u8).filter(|s| s & !looked == 0) {
                let count = |bits: u8| u8::try_from(bits.count_ones()).unwrap();
                let missed = looked & !seen;
                let expected = [
                    count(seen & 0b001_1111),
                    count(missed & 0b001_1111),
                    count(seen & 0b110_0000),
                    count(missed & 0b110_0000),
                ];
                assert_eq!(days[usize::from(pattern(seen, looked))], expected);
            }
        }
    }

    #[test]
    fn periods_follow_the_dates_and_none_is_empty() {
        let day = |t: &str| t.parse().unwrap();
        let dates = ActDates {
            announced: Some(day("2024-04-10")),
            effective: Some(day("2024-04-24")),
        };
        let (period, count) = periods(day("2024-04-01"), 5, dates);
        assert_eq!((period, count), (vec![0, 0, 1, 1, 2], 3));
        let long_ago = ActDates { announced: Some(day("2020-01-01")), effective: None };
        assert_eq!(periods(day("2024-04-01"), 2, long_ago), (vec![0, 0], 1));
    }
}
