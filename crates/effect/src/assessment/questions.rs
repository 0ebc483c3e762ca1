//! Which checks passed, and the five questions of a policymaker (methods, section 10).
//!
//! **Invariant:** a sentence is made of readings alone; where they are refused it says
//! `cannot be told` and the rule. A check that could not be carried out has not passed.

use tidegauge_model::policy::ActKind;

use super::{
    ALL, Assessment, Check, Grounds, Question, REST, Reading, Sight, choices, contacts,
    lasting, periods, reading, rest,
};

/// What would come by chance so seldom is told as a failed check.
const LEVEL: f64 = 0.05;
/// Share of sets of choices that have to agree on a sign.
const SAME_SIGN: f64 = 0.95;
/// Acts with a ratio below which what penalties or incentives do is not estimated.
const ACTS_MIN: usize = 15;

/// What the figures say of each other.
pub(super) fn checks(grounds: &Grounds<'_>, found: &Assessment) -> Vec<Check> {
    let addressed = grounds.addressed().to_string();
    let [series, hazard] = [&found.series, &found.hazard];
    let specifications = &found.specifications;
    let rank = |reading: &Reading| Some(reading.value? <= 1.0);
    let sight = match &grounds.asked.sight {
        Sight::Steady => (Some(true), "controls moved as before".to_owned()),
        Sight::Unknown(why) => (None, why.clone()),
        Sight::Changed(how) => (Some(false), how.clone()),
    };
    let sign = |reading: &Reading| {
        let (value, low, high) = (reading.value?, reading.low?, reading.high?);
        Some(value != 0.0 && low.signum() * high.signum() > 0.0)
    };
    let difference = |what| find(&found.specifications, what, choices::DIFFERENCE);
    vec![
        Check {
            name: "vantages saw the same share of use before and after",
            passed: sight.0,
            detail: sight.1,
        },
        check(
            "before the act the addressee moved with the rest",
            find(series, contacts::DIVERGENCE, &addressed),
            by_chance,
        ),
        check(
            "a date before any act changes no hazard",
            find(hazard, periods::IN_TIME, &addressed),
            by_chance,
        ),
        check(
            "dates before the act leave the series as it was",
            find(series, contacts::FALSE_DATES, &addressed),
            |reading| Some(reading.value? <= 2.0 * LEVEL),
        ),
        check(
            "no other country's hazard changes as much at the act",
            find(hazard, periods::IN_SPACE, &addressed),
            rank,
        ),
        check(
            "no other country's series changes as much at the act",
            find(series, contacts::RANK, &addressed),
            rank,
        ),
        check(
            "the difference keeps its sign under other choices",
            find(specifications, choices::SAME_SIGN, &addressed),
            |reading| {
                let share = reading.value?;
                Some(share >= SAME_SIGN || share <= 1.0 - SAME_SIGN)
            },
        ),
        check(
            "the difference keeps its sign without any one country",
            difference(choices::WITHOUT_COUNTRY),
            sign,
        ),
        check(
            "the difference keeps its sign without any one vantage",
            difference(choices::WITHOUT_VANTAGE),
            sign,
        ),
    ]
}

/// Whether a figure is one of chance. With fewer than nineteen others the p of a rank cannot
/// come down to .05: it can fail nothing.
fn by_chance(reading: &Reading) -> Option<bool> {
    let can = reading.p_floor.is_none_or(|floor| floor <= LEVEL);
    reading.p.filter(|_| can).map(|p| p > LEVEL)
}

fn find<'a>(of: &'a [Reading], what: &str, whom: &str) -> Option<&'a Reading> {
    reading(of, what, whom).or_else(|| of.first().filter(|r| r.refused.is_some()))
}

fn check(
    name: &'static str,
    reading: Option<&Reading>,
    holds: impl Fn(&Reading) -> Option<bool>,
) -> Check {
    let Some(reading) = reading else {
        return Check { name, passed: None, detail: "not estimated".to_owned() };
    };
    let (passed, detail) = match &reading.refused {
        Some(refused) => (None, refused.to_string()),
        None => (holds(reading), words(reading)),
    };
    Check { name, passed, detail }
}

/// The five questions.
pub(super) fn answers(grounds: &Grounds<'_>, found: &Assessment) -> Vec<Question> {
    vec![
        Question {
            question: "How many organisations still use the product?",
            answer: usage(grounds, found),
        },
        Question {
            question: "Does a ban do more than a warning?",
            answer: warning_or_ban(grounds, found),
        },
        Question {
            question: "What do incentives and penalties change?",
            answer: penalties(found),
        },
        Question {
            question: "Is less than complete removal an effect?",
            answer: effect(grounds, found),
        },
        Question {
            question: "Does an act work in other countries?",
            answer: elsewhere(grounds, found),
        },
    ]
}

fn usage(grounds: &Grounds<'_>, found: &Assessment) -> String {
    let addressed = grounds.addressed().to_string();
    let groups = [ALL, &addressed].map(|whom| {
        corrected(grounds, whom).unwrap_or_else(|| followed(found, whom, &addressed))
    });
    let caveat = match grounds.asked.sight {
        Sight::Unknown(_) => " (visibility not separated from usage)",
        Sight::Steady | Sight::Changed(_) => "",
    };
    let groups = groups.join("; ");
    format!("{groups}{caveat}; figures by country and sector stand in the groups")
}

/// Usage by the figure with visibility taken out, if there is one.
fn corrected(grounds: &Grounds<'_>, whom: &str) -> Option<String> {
    let pair = |dimension: &str, value: &str| (dimension.to_owned(), value.to_owned());
    let country = (whom != ALL).then(|| pair("country", whom));
    let sector = grounds.sector.as_ref().map(|s| pair("sector", s.as_str()));
    let wanted: Vec<_> = country.into_iter().chain(sector).collect();
    let of = grounds.asked.corrected.iter().find(|e| e.stratum == wanted)?;
    // The last holds every error that is known.
    let interval = of.intervals.last()?;
    let [value, low, high] =
        [of.value, interval.high, interval.low].map(|gone| 100.0 * (1.0 - gone));
    Some(format!(
        "{whom}: {value:.0} % ({low:.0} to {high:.0} %) of {} active in the window before \
         used it in the window after, visibility taken out",
        of.n
    ))
}

/// Usage by the curve of those that could be followed.
fn followed(found: &Assessment, whom: &str, addressed: &str) -> String {
    match reading(&found.survival, lasting::STILL, whom) {
        Some(Reading { refused: Some(refused), .. }) => {
            format!("{whom}: cannot be told: {refused}")
        }
        Some(reading) => format!(
            "{whom}: {} of {} in use at the end of the window before had not left for good by \
             the window after",
            percent(reading),
            reading.n
        ),
        None => format!("{whom}: cannot be told: {}", why(&found.survival, addressed)),
    }
}

fn warning_or_ban(grounds: &Grounds<'_>, found: &Assessment) -> String {
    let addressed = grounds.addressed().to_string();
    let ratios: Vec<&Reading> = ratios(found).collect();
    let told: Vec<String> = ratios.iter().map(|r| words(r)).collect();
    let detectable: Vec<String> = found
        .hazard
        .iter()
        .filter(|r| r.what == periods::DETECTABLE)
        .filter_map(|r| Some(format!("{:.2}", r.value?)))
        .collect();
    let kind_of = |kinds: &[ActKind]| {
        let acts = grounds.acts().filter(|a| kinds.contains(&a.kind));
        let ids: Vec<&str> = acts.map(|a| a.id.as_str()).collect();
        ratios.iter().any(|r| ids.iter().any(|id| names_act(&r.of, id)))
    };
    let warned = kind_of(&[ActKind::Warning]);
    let bound = kind_of(&[ActKind::Ban, ActKind::RemovalOrder, ActKind::Sanction]);
    let beside = if told.is_empty() {
        String::new()
    } else {
        format!(
            "; each act by itself: {}; an act would have been found from a ratio of {} on",
            told.join("; "),
            detectable.join(", ")
        )
    };
    if warned && bound {
        return format!(
            "one product and few acts make no test of warnings against bans; the acts stand \
             side by side{beside}"
        );
    }
    let missing = match (warned, bound) {
        (false, false) => "neither a warning nor a ban has a ratio here",
        (false, true) => "no warning has a ratio here",
        _ => "no ban has a ratio here",
    };
    let rule = "cannot be told: groups-needed: ";
    format!("{rule}{missing} ({}){beside}", why(&found.hazard, &addressed))
}

fn penalties(found: &Assessment) -> String {
    let acts = ratios(found).count();
    format!(
        "cannot be told: acts-min: {acts} acts have a ratio here; what their penalties and \
         terms do is not estimated from fewer than {ACTS_MIN}"
    )
}

fn effect(grounds: &Grounds<'_>, found: &Assessment) -> String {
    let addressed = grounds.addressed().to_string();
    let of = |what, whom: &str| reading(&found.survival, what, whom);
    let time =
        |whom: &str| of(lasting::MEAN_TIME, whom).filter(|r| r.refused.is_none());
    let mut parts = Vec::new();
    match (time(&addressed), time(REST)) {
        (Some(own), Some(rest)) => {
            let (a, b) =
                (own.value.unwrap_or_default(), rest.value.unwrap_or_default());
            parts.push(format!(
                "organisations of {addressed} used it for {a:.1} weeks up to the window \
                 after, the rest for {b:.1}: {:.0} organisation-weeks {} than at the rest's \
                 pace",
                ((b - a) * crate::regression::count(own.n)).abs(),
                if a <= b { "fewer" } else { "more" }
            ));
        }
        (None, _) => parts.push(refusal(
            of(lasting::MEAN_TIME, &addressed),
            &found.survival,
            &addressed,
        )),
        (_, None) => parts.push(refusal(
            of(lasting::MEAN_TIME, REST),
            &found.survival,
            &addressed,
        )),
    }
    match of(lasting::HALF_LIFE, &addressed) {
        Some(Reading { value: Some(weeks), .. }) => {
            parts.push(format!("half had left after {weeks:.0} weeks"));
        }
        other => parts
            .push(format!("half-life {}", refusal(other, &found.survival, &addressed))),
    }
    parts.extend(ahead(found, &addressed));
    let act = grounds.asked.policy.id.as_str();
    // Of an act with two dates the later one is when it held.
    let own = ratios(found).filter(|r| names_act(&r.of, act)).last();
    parts.push(match own {
        Some(ratio) => {
            let (low, high) =
                (ratio.low.unwrap_or(0.0), ratio.high.unwrap_or(f64::MAX));
            let verdict = if low > 1.0 {
                "removal went faster after the act than elsewhere"
            } else if high < 1.0 {
                "removal went slower after the act than elsewhere"
            } else {
                "removal after the act cannot be told from that elsewhere"
            };
            format!("{verdict} ({})", words(ratio))
        }
        None => {
            format!(
                "whether {act} did it {}",
                refusal(refused_ratio(found, act), &found.hazard, &addressed)
            )
        }
    });
    parts.join("; ")
}

/// When a tenth will be left, or that it will not.
fn ahead(found: &Assessment, addressed: &str) -> Option<String> {
    let reading = reading(&found.forecast, rest::UNTIL[1].1, addressed)?;
    Some(match (reading.value, &reading.refused) {
        (Some(weeks), _) => {
            let high = reading.high.map_or("no end".to_owned(), |h| format!("{h:.0}"));
            let low = reading.low.unwrap_or(0.0);
            format!(
                "if it goes on like that, a tenth is left {weeks:.0} weeks after the \
                 window before ({low:.0} to {high})"
            )
        }
        (None, Some(refused)) => format!("a tenth: {refused}"),
        (None, None) => return None,
    })
}

fn elsewhere(grounds: &Grounds<'_>, found: &Assessment) -> String {
    let addressed = grounds.addressed().to_string();
    match reading(&found.hazard, periods::SPILLOVER, &addressed) {
        Some(reading) if reading.refused.is_none() => format!(
            "in families with members in {addressed}, removal elsewhere went at {} of its \
             pace before, relative to other organisations elsewhere",
            words(reading)
        ),
        other => refusal(other, &found.hazard, &addressed),
    }
}

/// Ratios of acts that have a value.
fn ratios(found: &Assessment) -> impl Iterator<Item = &Reading> {
    found.hazard.iter().filter(|r| r.what == periods::RATIO && r.value.is_some())
}

/// The ratio of an act that was refused.
fn refused_ratio<'a>(found: &'a Assessment, act: &str) -> Option<&'a Reading> {
    let mut of = found.hazard.iter().filter(|r| r.what == periods::RATIO);
    of.find(|r| r.refused.is_some() && names_act(&r.of, act))
}

/// Whether the name of a ratio lists the act: `…: A, B)`.
fn names_act(of: &str, act: &str) -> bool {
    let listed =
        of.rsplit_once(": ").map_or("", |(_, acts)| acts.trim_end_matches(')'));
    listed.split(", ").any(|named| named == act)
}

fn refusal(reading: Option<&Reading>, others: &[Reading], addressed: &str) -> String {
    let own = reading.and_then(|r| r.refused.as_ref()).map(ToString::to_string);
    format!("cannot be told: {}", own.unwrap_or_else(|| why(others, addressed)))
}

/// The first rule that refused a figure of the addressee, or one of the list.
fn why(readings: &[Reading], addressed: &str) -> String {
    let own = readings.iter().filter(|r| r.of.starts_with(addressed));
    let refused = own.chain(readings).find_map(|r| r.refused.as_ref());
    refused
        .map_or("not-estimated: nothing was estimated".to_owned(), ToString::to_string)
}

fn percent(reading: &Reading) -> String {
    let of = |v: Option<f64>| v.map_or("?".to_owned(), |v| format!("{:.0}", 100.0 * v));
    format!("{} % ({} to {} %)", of(reading.value), of(reading.low), of(reading.high))
}

/// A figure in words: `hazard ratio of US 1.80 (1.20 to 2.70), p 0.004`.
fn words(reading: &Reading) -> String {
    let value = reading.value.map_or(String::new(), |v| format!(" {v:.2}"));
    let ends = reading.low.zip(reading.high);
    let ends = ends.map_or(String::new(), |(a, b)| format!(" ({a:.2} to {b:.2})"));
    let p = reading.p.map_or(String::new(), |p| format!(", p {p:.3}"));
    let floor = reading.p_floor;
    let floor = floor.map_or(String::new(), |p| format!(", not below {p:.3}"));
    format!("{} of {}{value}{ends}{p}{floor}", reading.what, reading.of)
}
