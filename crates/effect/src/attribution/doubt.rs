//! What doubtful holders do to a removal with visibility taken out.
//!
//! The cohort is a list of names. A name is on it wrongly if none of the networks that put
//! it there is its own; what was seen is then somebody else's use, and the organisation
//! named did not use the product at all. So among all that are listed a false member counts
//! as one that does not use it, before and after. The model cannot know: it sees use that
//! goes on.
//!
//! Each attribution says how sure it is. A confidence is no measured rate of error; it is
//! the least that the source stands for. So there are two ends: every name is right, and
//! names are wrong as often as their confidence admits. The second is drawn: in each draw a
//! member is false with its own chance, and the draws are put together by Rubin's rules
//! ([`crate::imputation`]). The interval reaches from the first to the second.
//!
//! Left out: that a network changes hands between the windows, which a map frozen on one
//! day cannot show, and that several names are wrong for one reason: each is drawn alone.
//!
//! **Invariant:** an interval made here holds the one it was made from, and is that one
//! where nobody is in doubt.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tidegauge_model::OrgId;
use tidegauge_model::panel::{History, Panel};

use crate::Stratify;
use crate::imputation::{Drawn, pool};
use crate::interval::as_f64;
use crate::occupancy::weekly::{Corrected, Share, StratumRemoval, on_logits_by};
use crate::student::quantile;

/// Who may be on the list wrongly.
#[derive(Clone, Copy, Debug)]
pub struct Doubt<'a> {
    /// For each organisation the chance, by the confidence of its attributions in the
    /// window before, that none of them is right. Who is not named here is not doubted.
    pub false_chance: &'a BTreeMap<OrgId, f64>,
    /// Draws, at least 2. They cost little: the model is not fitted anew.
    pub draws: u32,
    /// Where the lots come from.
    pub seed: u64,
}

/// Removal of one stratum with the error of attribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubted {
    /// Sampling, visibility and attribution together.
    pub all: Share,
    /// Attribution alone: as if sampling and visibility had no error.
    pub alone: Share,
    /// Mean chance of a member to be on the list wrongly, as far as confidence admits.
    pub false_share: f64,
    /// Draws.
    pub draws: u32,
}

/// For each stratum of `corrected` that has a figure, in order, the figure with the error
/// of attribution. `panel` and `by` are those that `corrected` was made from. Empty for
/// fewer than two draws.
pub fn doubted(
    corrected: &Corrected,
    panel: &Panel,
    by: &[Stratify],
    doubt: Doubt<'_>,
) -> BTreeMap<Vec<(String, String)>, Doubted> {
    let members = members(corrected, panel, by, doubt);
    let random = &mut Pcg64Mcg::seed_from_u64(doubt.seed);
    let n_strata = corrected.strata.len();
    let mut drawn: Vec<Vec<Drawn>> = vec![Vec::new(); n_strata];
    for _ in 0..doubt.draws {
        // Those that are false in this draw, and the use that they take with them.
        let mut gone = vec![[0.0; 2]; n_strata];
        for member in &members {
            if random.random::<f64>() < member.false_chance {
                for stratum in &member.strata {
                    gone[*stratum][0] += 1.0;
                    gone[*stratum][1] += member.using;
                }
            }
        }
        for ((stratum, gone), drawn) in
            corrected.strata.iter().zip(&gone).zip(&mut drawn)
        {
            drawn.extend(as_drawn(stratum, *gone));
        }
    }
    let mut doubts = vec![0.0; n_strata];
    for member in &members {
        member.strata.iter().for_each(|s| doubts[*s] += member.false_chance);
    }
    let each = corrected.strata.iter().zip(&drawn).zip(doubts);
    each.filter_map(|((stratum, drawn), doubts)| {
        let false_share = doubts / as_f64(stratum.n_baseline.max(1));
        Some((stratum.stratum.clone(), put_together(stratum, drawn, false_share)?))
    })
    .collect()
}

/// A member that may be false.
struct Member {
    false_chance: f64,
    /// Chance that it uses the product after, as the model has it.
    using: f64,
    /// Places of its strata in [`Corrected::strata`].
    strata: Vec<usize>,
}

fn members(
    corrected: &Corrected,
    panel: &Panel,
    by: &[Stratify],
    doubt: Doubt<'_>,
) -> Vec<Member> {
    let places: BTreeMap<&OrgId, &History> =
        panel.histories.iter().map(|h| (&h.organisation, h)).collect();
    let strata: BTreeMap<_, usize> =
        corrected.strata.iter().enumerate().map(|(i, s)| (&s.stratum, i)).collect();
    let member = |of: &crate::occupancy::weekly::StillUsing| {
        let chance = doubt.false_chance.get(&of.organisation).copied();
        let place = places.get(&of.organisation)?;
        Some(Member {
            false_chance: chance.filter(|c| *c > 0.0)?,
            using: of.probability,
            strata: by
                .iter()
                .filter_map(|by| strata.get(&by.of(place)).copied())
                .collect(),
        })
    };
    corrected.still_using.iter().filter_map(member).collect()
}

/// The removal of a draw: those that are false do not use the product.
fn as_drawn(stratum: &StratumRemoval, [number, using]: [f64; 2]) -> Option<Drawn> {
    let (removal, errors) = (stratum.removal?, stratum.errors?);
    let n = as_f64(stratum.n_baseline.max(1));
    let value = (removal.value + using / n).min(1.0);
    let se = (1.0 - number / n).max(0.0) * errors.of_cohort();
    Some(Drawn { value, variance: se * se })
}

fn put_together(
    stratum: &StratumRemoval,
    drawn: &[Drawn],
    false_share: f64,
) -> Option<Doubted> {
    let removal = stratum.removal?;
    let pooled = pool(drawn, None)?;
    let on = |value: f64, variance: f64, freedom: f64| {
        on_logits_by(value, variance.sqrt(), quantile(0.975, Some(freedom)))
    };
    let worst = on(pooled.value, pooled.total, pooled.freedom);
    let m = f64::from(pooled.draws);
    let alone = on(pooled.value, (1.0 + 1.0 / m) * pooled.between, m - 1.0);
    let [high, high_alone] = if false_share > 0.0 {
        [removal.high.max(worst.high), removal.value.max(alone.high)]
    } else {
        [removal.high, removal.value]
    };
    Some(Doubted {
        all: Share { low: removal.low.min(worst.low), high, ..removal },
        alone: Share { value: removal.value, low: removal.value, high: high_alone },
        false_share,
        draws: pooled.draws,
    })
}

#[cfg(test)]
mod tests {
    use tidegauge_model::estimate::Identification;
    use tidegauge_model::{DayRange, ProductId};

    use super::*;
    use crate::occupancy::weekly::{Errors, StillUsing};

    /// `n` members of one country of which each uses the product after with chance `p`.
    fn made(n: u32, p: f64) -> (Corrected, Panel) {
        let id = |i: u32| OrgId::new(format!("o{i:04}"));
        let day = |text: &str| text.parse().unwrap();
        let history = |i: u32| History {
            organisation: id(i),
            family: id(i),
            country: "US".parse().ok(),
            sector: None,
            vantage: "v".into(),
            weeks: vec![],
        };
        let panel = Panel {
            product: ProductId::from("p"),
            days: DayRange::new(day("2024-01-01"), day("2024-01-07")).unwrap(),
            histories: (0..n).map(history).collect(),
        };
        let errors = Errors {
            model: 0.005,
            unseen: 0.0,
            families: 0.005,
            within_week: 0.0,
            inflation: 1.0,
        };
        let removal = on_logits_by(1.0 - p, 0.005, 1.96);
        let of = |stratum| StratumRemoval {
            stratum,
            n_baseline: u64::from(n),
            removal: Some(removal),
            sampled: Some(removal),
            errors: Some(errors),
            range_by_hazard: None,
            identified: Identification::Identified,
        };
        let us = vec![("country".to_owned(), "US".to_owned())];
        let still_using = (0..n)
            .map(|i| StillUsing { organisation: id(i), probability: p })
            .collect();
        let corrected = Corrected {
            strata: vec![of(vec![]), of(us)],
            survival: Vec::new(),
            visibility: vec![],
            still_using,
            alarms: vec![],
            lack_of_fit: None,
            method: String::new(),
        };
        (corrected, panel)
    }

    fn asked(n: u32, p: f64, chance: f64) -> Doubted {
        let (corrected, panel) = made(n, p);
        let false_chance: BTreeMap<OrgId, f64> =
            panel.histories.iter().map(|h| (h.organisation.clone(), chance)).collect();
        let doubt = Doubt { false_chance: &false_chance, draws: 99, seed: 1 };
        let found =
            doubted(&corrected, &panel, &[Stratify::All, Stratify::Country], doubt);
        assert_eq!(found.len(), 2);
        assert_eq!(found[&vec![]].all.high.to_bits(), {
            let us = vec![("country".to_owned(), "US".to_owned())];
            found[&us].all.high.to_bits()
        });
        found[&vec![]]
    }

    /// With p using after and a chance w to be false, removal among the listed is
    /// 1 - p + w p at the far end; the low end stays.
    #[test]
    fn the_interval_reaches_to_what_confidence_admits() {
        for (p, w) in [(1.0, 0.1), (0.4, 0.1), (0.9, 0.03)] {
            let found = asked(2_000, p, w);
            let far = 1.0 - p + w * p;
            let (base, _) = made(2_000, p);
            let base = base.strata[0].removal.unwrap();
            assert!(found.all.high > far && found.all.high < far + 0.04, "{found:?}");
            assert!(found.alone.high > far - 0.005, "{found:?}");
            assert!(found.all.low <= base.low && base.low - found.all.low < 1e-9);
            assert!((found.false_share - w).abs() < 1e-9);
            assert!((found.all.value - base.value).abs() < 1e-12);
        }
    }

    #[test]
    fn in_a_small_stratum_who_is_false_matters_more() {
        let (small, large) = (asked(40, 0.5, 0.1), asked(4_000, 0.5, 0.1));
        assert!(small.alone.high > large.alone.high + 0.02, "{small:?} {large:?}");
    }

    #[test]
    fn without_doubt_nothing_changes() {
        let (corrected, panel) = made(100, 0.7);
        let none = BTreeMap::new();
        let doubt = Doubt { false_chance: &none, draws: 9, seed: 1 };
        let found = doubted(&corrected, &panel, &[Stratify::All], doubt);
        assert_eq!(found[&vec![]].all, corrected.strata[0].removal.unwrap());
        let few = Doubt { draws: 1, ..doubt };
        assert!(doubted(&corrected, &panel, &[Stratify::All], few).is_empty());
    }
}
