//! A twentieth of the world meets the published rates within chance.

use tidegauge_simulate::{Params, Tally, expected, tally};

fn small() -> Params {
    Params { organisations: 0.05, ..Params::default() }
}

#[test]
fn the_world_is_solved_for_the_published_figures() {
    for figure in expected(&Params::default()).unwrap() {
        let difference = figure.difference();
        assert!(difference.abs() < 0.015, "{}: {difference:+.4}", figure.id);
    }
}

#[test]
fn a_twentieth_of_the_world_meets_them_within_chance() {
    let params = small();
    let tally = tally(&params).unwrap();
    for figure in tally.compare(&params) {
        // Counts and shares of a few organisations: three binomial standard errors, and
        // one organisation for rounding.
        let n = match figure.id.split_once('.') {
            Some(("organisations", _)) => figure.published * params.organisations,
            Some(("addresses", _)) => {
                figure.published * params.organisations * params.eyeball
            }
            Some(("sector", _)) => 2_540.0 * figure.published * params.organisations,
            _ => 1_000.0 * params.organisations,
        };
        let allowed = 3.0 / n.sqrt() + 1.0 / n;
        let difference = figure.difference();
        assert!(difference.abs() < allowed, "{}: {difference:+.3} of {n}", figure.id);
    }
    let world = &tally.world;
    assert!((world.observed_removal() - 0.65).abs() < 0.03, "{world:?}");
    assert!(world.truth[3] > world.observed[3], "not everybody is seen");
}

#[test]
fn consumers_of_the_united_states_are_not_the_only_ones_to_leave() {
    let Tally { world, addresses, .. } = tally(&small()).unwrap();
    assert!(world.observed.windows(2).skip(3).all(|m| m[1] <= m[0]), "{world:?}");
    let consumers = |month: usize| f64::from(addresses[month].consumer_v4);
    let fall = |from: usize, to: usize| 1.0 - consumers(to) / consumers(from);
    // April to August without the migration, then the month before and after it.
    assert!(fall(3, 7) > 0.3, "{addresses:?}");
    assert!(fall(7, 9) > 0.25, "{addresses:?}");
}

#[test]
fn another_seed_is_another_world_with_the_same_rates() {
    let params = Params { organisations: 0.03, seed: 7, ..Params::default() };
    let other = tally(&params).unwrap();
    let first = tally(&Params { organisations: 0.03, ..Params::default() }).unwrap();
    assert_ne!(first, other);
    let removal = other.world.observed_removal();
    assert!((removal - first.world.observed_removal()).abs() < 0.06, "{removal}");
}
