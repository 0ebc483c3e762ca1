//! Five worlds show the same figures for different reasons; the sixth shows none.

use tidegauge_simulate::targets::PUBLISHED;
use tidegauge_simulate::{Comparison, Params, Story, Tally, expected, tally};

const SCALE: f64 = 0.05;
/// Worlds in which the published fall is seen.
const FALLING: [Story; 5] = [Story::A, Story::B, Story::C, Story::D, Story::F];

fn small(story: Story) -> Tally {
    tally(&Params { organisations: SCALE, ..Params::of(story) }).unwrap()
}

fn of(figures: &[Comparison], id: &str) -> f64 {
    figures.iter().find(|f| f.id == id).unwrap().simulated
}

#[test]
fn the_same_published_figures_are_expected_of_each_world_with_a_fall() {
    for story in FALLING {
        let figures = expected(&Params::of(story)).unwrap();
        assert_eq!(figures.len(), PUBLISHED.len());
        for (figure, published) in figures.iter().zip(PUBLISHED) {
            assert!((figure.published - published.value).abs() < 1e-9);
            let difference = figure.difference();
            assert!(difference.abs() < 0.03, "{story} {}: {difference:+.4}", figure.id);
        }
    }
}

#[test]
fn a_before_and_after_chart_cannot_tell_the_worlds_apart() {
    let of_a = small(Story::A);
    for story in FALLING.into_iter().skip(1) {
        let world = small(story);
        // A twentieth: 1,100 and 400 organisations; three binomial standard errors.
        for (month, group) in (0..12).flat_map(|month| {
            [
                ("world", &of_a.world, &world.world),
                ("DE", country(&of_a, "DE"), country(&world, "DE")),
            ]
            .map(|g| (month, g))
        }) {
            let (name, a, other) = group;
            let (a, other) =
                (f64::from(a.observed[month]), f64::from(other.observed[month]));
            let allowed = 3.0 * (2.0 * a.max(10.0)).sqrt();
            assert!(
                month < 3 || (a - other).abs() < allowed,
                "{story} {name} {month}: {a} {other}"
            );
        }
        let removal = world.world.observed_removal();
        assert!(
            (removal - of_a.world.observed_removal()).abs() < 0.04,
            "{story} {removal}"
        );
    }
}

fn country<'a>(tally: &'a Tally, code: &str) -> &'a tidegauge_simulate::Group {
    &tally.countries.iter().find(|c| c.0 == code).unwrap().1
}

#[test]
fn what_is_true_differs() {
    let churn = Params::of(Story::B).cause.churn;
    let full = small(Story::A).world.true_removal();
    assert!((0.55..0.68).contains(&full), "{full}");
    for story in [Story::B, Story::C, Story::D] {
        let removal = small(story).world.true_removal();
        assert!((removal - churn).abs() < 0.03, "{story}: {removal}");
    }
    // Half on the scale of hazards.
    let half = 1.0 - (1.0 - full).sqrt();
    let removal = small(Story::F).world.true_removal();
    assert!((removal - half).abs() < 0.04, "F: {removal}, half of A is {half}");
    assert!(small(Story::E).world.true_removal().abs() < 1e-12);
}

#[test]
fn where_nothing_changes_no_figure_moves() {
    let params = Params::of(Story::E);
    let figures = expected(&params).unwrap();
    for figure in &figures {
        let count = figure.id.starts_with("organisations.");
        if count || figure.id.starts_with("addresses.") {
            let difference = figure.difference();
            assert!(difference.abs() < 0.03, "{}: {difference:+.4}", figure.id);
        }
    }
    // Who is seen in a month and not in another is chance, not change.
    assert!(of(&figures, "removal.US") < 0.1 && of(&figures, "net.XX").abs() < 0.03);
    let world = small(Story::E).world;
    let (first, last) = (f64::from(world.observed[3]), f64::from(world.observed[10]));
    assert!((last / first - 1.0).abs() < 0.05, "{world:?}");
}

#[test]
fn another_fall_can_be_asked_for() {
    let text = "world = \"C\"\norganisations = 0.05\n\
                [targets]\norganisations_april = 12000\norganisations_november = 9000\n\
                us_april = 2000\nus_november = 1500\nus_removal = 0.26\n\
                [cause]\nremoval = 0.3\nthinned = 1\nmoved = 1\n\
                [countries.DE]\nremoval = 0.2\n[countries.GB]\nremoval = 0.2\n\
                [countries.IT]\nremoval = 0.2\n[countries.RU]\nremoval = 0.2\n";
    let params = Params::read(text).unwrap();
    for figure in expected(&params).unwrap() {
        if figure.id.starts_with("organisations.") {
            let difference = figure.difference();
            assert!(difference.abs() < 0.04, "{}: {difference:+.4}", figure.id);
        }
    }
    let world = tally(&params).unwrap().world;
    let net = 1.0 - f64::from(world.observed[10]) / f64::from(world.observed[3]);
    assert!((net - 0.25).abs() < 0.06 && world.true_removal() < 0.25, "{world:?}");
}

#[test]
fn a_country_without_room_is_refused() {
    let text = "[targets]\norganisations_april = 40000\norganisations_november = 20000\n\
                [countries.DE]\nweight = 1000000\n";
    let refused = expected(&Params::read(text).unwrap());
    // Solving needs no addresses; making the members does.
    assert!(refused.is_ok());
    let error = tally(&Params::read(text).unwrap()).unwrap_err().to_string();
    assert!(error.contains("DE would have") && error.contains("hint:"), "{error}");
}
