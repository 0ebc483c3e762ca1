//! The likelihood of all histories, its gradient, and scores by family.
//!
//! **Invariant:** organisations are summed in fixed parts and the parts in order, so the
//! same evidence gives the same digits whatever the number of threads.

use std::num::NonZero;
use std::thread;

use nalgebra::DMatrix;

use super::chain::{Asked, Chain, Room, Sums};
use super::entry::Entries;
use super::evidence::Evidence;
use super::layout::Layout;
use super::rates::Rates;
use crate::occupancy::optimum::{Objective, symmetric};

/// Parts that organisations are summed in.
const PARTS: usize = 16;
/// Fewer organisations than this are not worth a thread.
const THREADED_MIN: usize = 2_000;
/// Step of one-sided differences of the gradient: their error is about its size relative
/// to the third derivative, far below what an interval shows.
const DIFFERENCE: f64 = 1e-5;

/// Minus the logarithm of likelihood and priors.
pub(crate) struct Likelihood<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) evidence: &'a Evidence,
}

impl Objective for Likelihood<'_> {
    fn evaluate(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let everybody: Vec<usize> = (0..self.evidence.units.len()).collect();
        self.evaluate_of(at, &everybody)
    }

    fn weight(&self) -> f64 {
        self.evidence.units.iter().map(|unit| unit.weight).sum::<f64>().max(1.0)
    }

    fn curvature(&self, at: &[f64]) -> DMatrix<f64> {
        let count = self.layout.count;
        let everybody: Vec<usize> = (0..self.evidence.units.len()).collect();
        let base = self.evaluate_of(at, &everybody).1;
        let mut matrix = DMatrix::zeros(count, count);
        let mut of_group = None;
        for j in 0..count {
            let mut moved = at.to_vec();
            moved[j] += DIFFERENCE;
            // A group's departure bears on its own members alone.
            let (here, there) = match self.layout.group_of(j) {
                Some(group) => {
                    let (_, members, base) = match of_group.take() {
                        Some(known @ (known_group, _, _)) if known_group == group => {
                            known
                        }
                        _ => {
                            let member =
                                |i: &usize| self.evidence.units[*i].group == group;
                            let members: Vec<usize> =
                                everybody.iter().copied().filter(member).collect();
                            let base = self.evaluate_of(at, &members).1;
                            (group, members, base)
                        }
                    };
                    let there = self.evaluate_of(&moved, &members).1;
                    (of_group.insert((group, members, base)).2.clone(), there)
                }
                None => (base.clone(), self.evaluate_of(&moved, &everybody).1),
            };
            for (i, (here, there)) in here.iter().zip(&there).enumerate() {
                matrix[(i, j)] = (there - here) / DIFFERENCE;
            }
        }
        symmetric(&matrix)
    }

    fn once(&self) -> bool {
        true
    }
}

impl Likelihood<'_> {
    fn evaluate_of(&self, at: &[f64], units: &[usize]) -> (f64, Vec<f64>) {
        let rates = Rates::new(self.layout, self.evidence, at);
        let entries = Entries::new(self.layout, self.evidence, &rates);
        let chain = Chain::new(self.layout, self.evidence, &rates, &entries);
        let parts = in_parts(units, |part| {
            let (mut room, mut sums) = (Room::default(), Sums::new(self.layout));
            let mut log = 0.0;
            for unit in part.iter().map(|i| &self.evidence.units[*i]) {
                log += unit.weight * chain.likelihood(unit, None, &mut room);
                let asked = Asked { weight: unit.weight };
                chain.add(unit, asked, &room, &mut sums);
            }
            (log, sums)
        });
        let mut sums = Sums::new(self.layout);
        let mut value = 0.0;
        for (log, part) in &parts {
            value -= log;
            sums.add(part);
        }
        let mut gradient = gradient(self.layout, self.evidence, &rates, &sums);
        for by in &mut gradient {
            *by = -*by;
        }
        self.layout.add_prior(at, &mut value, &mut gradient);
        (value, gradient)
    }

    /// The score of each family, a row each. The sum of their outer products is the
    /// variance of the gradient if families, not organisations, decide.
    pub(crate) fn family_scores(&self, at: &[f64]) -> DMatrix<f64> {
        let rates = Rates::new(self.layout, self.evidence, at);
        let entries = Entries::new(self.layout, self.evidence, &rates);
        let chain = Chain::new(self.layout, self.evidence, &rates, &entries);
        let mut families: Vec<Vec<usize>> = vec![Vec::new(); self.evidence.families];
        for (i, unit) in self.evidence.units.iter().enumerate() {
            families[unit.family].push(i);
        }
        let parts = in_parts(&families, |part| {
            let (mut room, mut sums) = (Room::default(), Sums::new(self.layout));
            let mut rows = Vec::with_capacity(part.len() * self.layout.count);
            for family in part {
                sums.clear();
                for unit in family.iter().map(|i| &self.evidence.units[*i]) {
                    chain.likelihood(unit, None, &mut room);
                    let asked = Asked { weight: unit.weight };
                    chain.add(unit, asked, &room, &mut sums);
                }
                rows.extend(gradient(self.layout, self.evidence, &rates, &sums));
            }
            rows
        });
        DMatrix::from_row_iterator(
            families.len(),
            self.layout.count,
            parts.into_iter().flatten(),
        )
    }
}

/// Does `work` on fixed parts of `items`, and gives the results in order.
pub(crate) fn in_parts<I: Sync, O: Send>(
    items: &[I],
    work: impl Fn(&[I]) -> O + Sync,
) -> Vec<O> {
    let parts: Vec<&[I]> = items.chunks(items.len().div_ceil(PARTS).max(1)).collect();
    let workers = if items.len() < THREADED_MIN {
        1
    } else {
        thread::available_parallelism().map_or(1, NonZero::get).min(parts.len())
    };
    if workers < 2 {
        return parts.into_iter().map(work).collect();
    }
    let mut done: Vec<(usize, O)> = thread::scope(|scope| {
        let (parts, work) = (&parts, &work);
        let running: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = parts.iter().enumerate().skip(worker).step_by(workers);
                    mine.map(|(i, part)| (i, work(part))).collect::<Vec<_>>()
                })
            })
            .collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().expect("a part's work does not panic"))
            .collect()
    });
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The gradient that expected counts stand for.
pub(crate) fn gradient(
    layout: &Layout,
    evidence: &Evidence,
    rates: &Rates,
    sums: &Sums,
) -> Vec<f64> {
    let mut gradient = vec![0.0; layout.count];
    let [product_weekend, control_weekend] = layout.weekend();
    for v in 0..layout.vantages {
        for week in 0..layout.weeks {
            let (mut product, mut control) = (0.0, 0.0);
            for class in 0..layout.products {
                let cell = layout.product_cell(v, week, class);
                let by = sums.product[cell].slopes(rates.product.intensity[cell]);
                gradient[layout.product(v, class)] += by[0] + by[1];
                gradient[product_weekend] += by[1];
                product += by[0] + by[1];
            }
            for class in 0..layout.controls {
                let cell = layout.control_cell(v, week, class);
                let by = sums.control[cell].slopes(rates.control.intensity[cell]);
                gradient[layout.control(v, class)] += by[0] + by[1];
                gradient[control_weekend] += by[1];
                control += by[0] + by[1];
            }
            if let Some(place) = layout.curve(v, week) {
                gradient[place] += product + control;
            }
            if let Some(place) = layout.parting(v, evidence.block[week]) {
                gradient[place] += product;
            }
        }
    }
    let members: f64 = sums.class.iter().sum();
    for product in 0..layout.products {
        for control in 0..layout.controls {
            let class = product * layout.controls + control;
            let by = sums.class[class] - rates.weights[class] * members;
            gradient[layout.together()] += by * layout.pair(product, control);
            let places = [layout.product_class(product), layout.control_class(control)];
            for place in places.into_iter().flatten() {
                gradient[place] += by;
            }
        }
    }
    add_turns(layout, rates, sums, &mut gradient);
    gradient
}

fn add_turns(layout: &Layout, rates: &Rates, sums: &Sums, gradient: &mut [f64]) {
    for period in 0..layout.periods {
        for group in 0..layout.groups {
            let at = layout.use_cell(group, period);
            let by = slope(sums.using[at], rates.using[at].down);
            gradient[layout.removal(period)] += by;
            if let Some(place) = layout.departure(group, period) {
                gradient[place] += by;
            }
        }
        for v in 0..layout.vantages {
            let at = layout.sight_cell(v, period);
            gradient[layout.dark(v, period)] =
                slope(sums.sight[at], rates.sight[at].down);
        }
        if let Some(place) = layout.blackout(period) {
            gradient[place] = slope(sums.blackout[period], rates.blackout[period]);
        }
    }
    let up = rates.using[0].up;
    gradient[layout.back()] = slope(sums.back, up);
    for v in 0..layout.vantages {
        let up = rates.sight[layout.sight_cell(v, 0)].up;
        gradient[layout.relight(v)] =
            if layout.controlled[v] { slope(sums.relight[v], up) } else { 0.0 };
    }
}

/// The slope by a turn's logit, of how often it was taken and how often not.
fn slope([taken, not]: [f64; 2], chance: f64) -> f64 {
    taken * (1.0 - chance) - not * chance
}
