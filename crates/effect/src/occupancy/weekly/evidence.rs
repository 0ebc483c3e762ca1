//! A panel as the weekly model reads it: the baseline cohort, week by week.
//!
//! The cohort are the organisations active in the window before. A vantage counts for an
//! organisation if it saw the product there in that window: what is taken is decided by
//! the window before alone, so that what comes later is free to say anything.
//!
//! **Invariant:** weeks are seven days from the weekday on which the window after begins,
//! so that none lies on both sides of its beginning: who was last seen on the day before
//! is not taken for a user in it. They run from the first of the window before to the last
//! of the window after; days outside are no evidence. Bits of days count from Monday. A vantage looked on a day at all its organisations or
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
fn covered(panel: &Panel) -> BTreeMap<VantageId, Vec<WeekCell>> {
    let mut covered: BTreeMap<VantageId, Vec<WeekCell>> = BTreeMap::new();
    for history in &panel.histories {
        let weeks = covered
            .entry(history.vantage.clone())
            .or_insert_with(|| vec![WeekCell::default(); history.weeks.len()]);
        for (days, cell) in weeks.iter_mut().zip(&history.weeks) {
            days.visible |= cell.visible | cell.seen | cell.control;
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
    /// The first day of the first week.
    pub(crate) first: Day,
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
        let distance = |from: Day, to: Day| to.0.saturating_sub(from.0);
        let early = distance(windows.after().first(), span.first()).rem_euclid(7);
        let first = span.first().plus(-early);
        let week_of = |day| usize::try_from(distance(first, day) / 7).unwrap_or(0);
        let weeks = week_of(span.last()) + 1;
        if weeks < WEEKS_MIN {
            return Err(Refusal::FewWeeks { weeks, least: WEEKS_MIN });
        }
        let before = week_of(windows.before().last()) + 1;
        let after = week_of(windows.after().first())..weeks;
        let (period, periods) = periods(first, weeks, dates);
        let block = |week: usize| {
            week.saturating_sub(before) / BLOCK_WEEKS + usize::from(week >= before)
        };
        let block: Vec<usize> = (0..weeks).map(block).collect();
        let mut evidence = Self {
            first,
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

    /// The first day of a week.
    pub(crate) fn begins(&self, week: usize) -> Day {
        self.first.plus(7 * i32::try_from(week).unwrap_or(i32::MAX))
    }

    /// The ISO weeks of a history, or what is known of them, as weeks are counted here: the
    /// later days of one ISO week and the earlier ones of the next.
    fn weeks_of(&self, panel: &Panel, iso: &[WeekCell]) -> Vec<WeekCell> {
        let monday = panel.days.first().week().monday();
        let later = u8::MAX << self.first.weekday_from_monday();
        let part = |index: i32, bits: u8| {
            let cell = usize::try_from(index).ok().and_then(|i| iso.get(i)).copied();
            let WeekCell { seen, visible, control } = cell.unwrap_or_default();
            [seen & bits, visible & bits, control & bits]
        };
        let of = |week: usize| {
            let begins = self.begins(week).week().monday();
            let index = begins.0.saturating_sub(monday.0).div_euclid(7);
            let (late, early) =
                (part(index, later), part(index.saturating_add(1), !later));
            let [seen, visible, control] = [0, 1, 2].map(|i| late[i] | early[i]);
            WeekCell { seen, visible, control }
        };
        (0..self.weeks).map(of).collect()
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
        let covered: BTreeMap<VantageId, Vec<WeekCell>> = covered(panel)
            .into_iter()
            .map(|(vantage, days)| (vantage, self.weeks_of(panel, &days)))
            .collect();
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
            let of: Vec<(&VantageId, Vec<WeekCell>)> = of
                .iter()
                .map(|(_, h)| (&h.vantage, self.weeks_of(panel, &h.weeks)))
                .collect();
            let Some(entry_week) = self.entry_week(&of, windows.before()) else {
                continue;
            };
            let views: Vec<View> = of
                .iter()
                .map(|(vantage, weeks)| {
                    self.view(vantage, weeks, &covered[*vantage], windows)
                })
                .collect();
            let seen_after =
                self.seen_after(&self.weeks_of(panel, &united.weeks), windows);
            let count = families.len();
            let family = *families.entry(united.family.clone()).or_insert(count);
            self.units.push(Unit {
                organisation: united.organisation.clone(),
                seen_after,
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
        vantage: &VantageId,
        weeks: &[WeekCell],
        covered: &[WeekCell],
        windows: Windows,
    ) -> View {
        let span = DayRange::new(windows.before().first(), windows.after().last());
        let cells: Vec<WeekCell> = (0..self.weeks)
            .zip(weeks.iter().zip(covered))
            .map(|(week, (cell, looked))| {
                let mask = span.map_or(0, |span| days_in(self.begins(week), span));
                WeekCell {
                    seen: cell.seen & mask,
                    control: cell.control & mask,
                    visible: looked.visible & mask,
                }
            })
            .collect();
        let control = (0..self.before).any(|week| {
            cells[week].control & days_in(self.begins(week), windows.before()) != 0
        });
        let vantage = self.vantages.binary_search(vantage).unwrap_or(0);
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
    fn seen_after(&self, united: &[WeekCell], windows: Windows) -> bool {
        let least = if self.noise > 0.0 { 2 } else { 1 };
        self.after.clone().any(|week| {
            let seen = united.get(week).map_or(0, |cell| cell.seen);
            let mask = days_in(self.begins(week), windows.after());
            (seen & mask).count_ones() >= least
        })
    }

    /// The week of the m-th distinct day on which any of the views saw the product.
    fn entry_week(
        &self,
        views: &[(&VantageId, Vec<WeekCell>)],
        before: DayRange,
    ) -> Option<usize> {
        let mut days = 0;
        (0..self.before).find(|week| {
            let seen =
                views.iter().fold(0, |bits, (_, weeks)| bits | weeks[*week].seen);
            days += (seen & days_in(self.begins(*week), before)).count_ones();
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
            (0..self.before).map(|w| days_in(self.begins(w), before)).collect();
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

/// Bits of the seven days from `first` that lie in `range`, by weekday from Monday.
pub(crate) fn days_in(first: Day, range: DayRange) -> u8 {
    let inside =
        (0..7).map(|later| first.plus(later)).filter(|day| range.contains(*day));
    inside.fold(0, |mask, day| mask | 1 << day.weekday_from_monday())
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
    fn weeks_begin_with_the_window_after_and_lose_no_day() {
        let day = |t: &str| t.parse::<Day>().unwrap();
        let range = |a: &str, b: &str| DayRange::new(day(a), day(b)).unwrap();
        let days = range("2024-04-01", "2024-11-30");
        let cell = |seen| WeekCell { seen, visible: 127, control: 0 };
        // Seen on the last day of October, a Thursday, and on the first of November.
        let mut weeks = vec![cell(0b11); 3];
        weeks.extend(vec![cell(0); 27]);
        weeks.extend([cell(0b1_1000), cell(0), cell(0), cell(0), cell(0b10_0000)]);
        let history = |i: usize| History {
            organisation: OrgId::new(format!("o{i:03}")),
            family: OrgId::new(format!("o{i:03}")),
            country: None,
            sector: None,
            vantage: "v".into(),
            weeks: weeks.clone(),
        };
        let histories = (0..80).map(history).collect();
        let panel = Panel { product: "p".into(), days, histories };
        let windows = Windows::new(
            range("2024-04-01", "2024-04-30"),
            range("2024-11-01", "2024-11-30"),
        );
        let evidence = Evidence::read(
            &panel,
            windows.unwrap(),
            ActDates::default(),
            &Settings::default(),
        )
        .unwrap();
        assert_eq!(evidence.first, day("2024-03-29"));
        assert_eq!((evidence.before, evidence.after.clone()), (5, 31..36));
        assert_eq!(evidence.begins(31), day("2024-11-01"));
        let unit = &evidence.units[0];
        let seen = |week: usize| {
            let [of_week, _, others, _] =
                pattern_days()[usize::from(unit.views[0].cells[week].product)];
            of_week + others
        };
        let all: Vec<u8> = (0..evidence.weeks).map(seen).collect();
        assert_eq!((all[0], all[1], all[2], all[3]), (2, 2, 2, 0));
        assert_eq!((all[30], all[31], all[35]), (1, 1, 1));
        assert_eq!(all.iter().sum::<u8>(), 9);
        assert!(unit.seen_after);
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
