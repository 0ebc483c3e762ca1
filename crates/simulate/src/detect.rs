//! What the vantages see of a member: daily probabilities, and the chance to be counted
//! as active in a month.
//!
//! A contact day has `packets` packets towards the servers; the exchange samples each
//! with 1/N, the carrier sees those that take its route. So a day is seen with
//! 1 − exp(−packets × rate), and rates of vantages add up (methods, 3.1).
//!
//! **Invariant:** the traffic is drawn with exactly these probabilities.

use crate::Params;
use crate::calendar::{self, DAYS, YearDay};
use crate::chance;

/// Packets on a weekend day, relative: office machines are off, relays run on.
const WEEKEND: f64 = 0.3;
/// Packets of a consumer's day towards the servers (ours).
pub(crate) const CONSUMER_PACKETS: f64 = 75.0;

/// Which vantages a member's traffic crosses, and how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reach {
    pub(crate) exchange: bool,
    pub(crate) carrier: bool,
    /// Packets on a weekday.
    pub(crate) packets: f64,
}

impl Reach {
    /// The reach at a point of the unit square: which vantages, how many packets.
    pub(crate) fn at(params: &Params, vantages: f64, size: f64) -> Self {
        let combination =
            chance::pick(combinations(params).into_iter().map(|c| c.2), vantages);
        let (exchange, carrier, _) = combinations(params)[combination];
        Self { exchange, carrier, packets: packets(size) }
    }
}

/// Exchange, carrier, share.
pub(crate) fn combinations(params: &Params) -> [(bool, bool, f64); 4] {
    let (x, c) = (params.exchange.sees, params.carrier.sees);
    [
        (true, true, x * c),
        (true, false, x * (1.0 - c)),
        (false, true, (1.0 - x) * c),
        (false, false, (1.0 - x) * (1.0 - c)),
    ]
}

/// Packets of a weekday for an organisation of quantile `size` (ours): few are hardly
/// seen, most on a third of the weekdays.
pub(crate) fn packets(size: f64) -> f64 {
    let between = |low: f64, high: f64, x: f64| low * (high / low).powf(x);
    if size < 0.03 {
        between(30.0, 80.0, size / 0.03)
    } else if size < 0.12 {
        between(130.0, 220.0, (size - 0.03) / 0.09)
    } else {
        between(220.0, 560.0, (size - 0.12) / 0.88)
    }
}

/// Seen share of a packet on each day of the year.
pub(crate) struct Rates {
    exchange: Vec<f64>,
    carrier: Vec<f64>,
}

impl Rates {
    /// The rates of the two wide vantages.
    pub(crate) fn new(params: &Params) -> Self {
        let day_rate = |day, n: u32, outage: &[tidegauge_model::Day]| {
            let dark = outage.contains(&calendar::day(day));
            if dark { 0.0 } else { 1.0 / f64::from(n) }
        };
        let exchange = (0..DAYS).map(|d| {
            day_rate(d, exchange_sampling(params, d), &params.exchange.outage)
        });
        let carrier = (0..DAYS)
            .map(|d| day_rate(d, params.carrier.route_packets, &params.carrier.outage));
        Self { exchange: exchange.collect(), carrier: carrier.collect() }
    }

    /// Share of a packet seen at the exchange.
    pub(crate) fn exchange(&self, day: YearDay) -> f64 {
        self.exchange[usize::from(day)]
    }

    /// Share of a packet seen at the carrier.
    pub(crate) fn carrier(&self, day: YearDay) -> f64 {
        self.carrier[usize::from(day)]
    }

    /// Expected sightings of a day by all vantages in reach: minus the logarithm of the
    /// chance not to be seen.
    pub(crate) fn seen(&self, reach: Reach, day: YearDay) -> f64 {
        let rate = f64::from(u8::from(reach.exchange)) * self.exchange(day)
            + f64::from(u8::from(reach.carrier)) * self.carrier(day);
        reach.packets * rate
    }
}

/// The chance that an organisation is seen on two days or more: after the first of the
/// days given, after the second, and so on. `seen` are expected sightings of a day.
pub(crate) fn active(seen: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
    let (mut sum, mut odds) = (0.0f64, 0.0f64);
    seen.map(move |seen| {
        sum += seen;
        odds += seen.exp_m1();
        1.0 - (-sum).exp() * (1.0 + odds)
    })
}

/// An organisation's packets on a day, relative to a weekday.
pub(crate) fn rhythm(day: YearDay) -> f64 {
    if calendar::is_weekend(day) { WEEKEND } else { 1.0 }
}

/// One packet in how many the exchange samples on a day.
pub(crate) fn exchange_sampling(params: &Params, day: YearDay) -> u32 {
    if calendar::day(day) < params.exchange.sampling_changes {
        params.exchange.sampling
    } else {
        params.exchange.sampling_later
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::APRIL;

    #[test]
    fn two_days_are_needed_to_be_active() {
        let rates = Rates::new(&Params::default());
        let reach = Reach { exchange: true, carrier: false, packets: 1000.0 };
        let (start, length) = calendar::month(APRIL);
        let seen = (start..start + length).map(|d| rates.seen(reach, d) * rhythm(d));
        let active: Vec<f64> = active(seen).collect();
        assert!(active[0].abs() < 1e-12);
        // Two weekdays, each seen with 1 - 1/e.
        let both = (1.0 - (-1.0f64).exp()).powi(2);
        assert!((active[1] - both).abs() < 1e-12);
        assert!(active[29] > 0.999_9);
    }

    #[test]
    fn nobody_is_seen_on_an_outage_day() {
        let params = Params::default();
        let rates = Rates::new(&params);
        let dark = params.exchange.outage[0];
        let day = (0..DAYS).find(|d| calendar::day(*d) == dark).unwrap();
        let reach = Reach { exchange: true, carrier: false, packets: 1000.0 };
        assert!(rates.seen(reach, day).abs() < 1e-12);
    }
}
