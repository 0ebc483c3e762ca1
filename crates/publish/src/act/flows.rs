//! What those were seen with after who had the product before, as a figure.

use crate::assessment::{Assessment, Flow, SeenWith, Way};
use crate::country;
use crate::figure::{Band, Chart, Figure, Flow as Drawn, FlowChart, FlowWay};
use crate::number::{counted, percent, percent_span, windows};
use crate::tables::Table;

/// The figure; `None` if nothing may be told.
pub(super) fn figure(found: &Assessment, product: &str) -> Option<Figure> {
    let whole = found.flows.first()?;
    let mut table = Table::new(["of", "seen_with", "share", "low", "high", "n"]);
    for flow in &found.flows {
        for way in &flow.ways {
            let end = |end: Option<f64>| {
                end.map_or_else(|| "none".to_owned(), |end| format!("{end:.4}"))
            };
            table.push([
                flow.of.clone(),
                words(way.seen, product).1,
                format!("{:.4}", way.share),
                end(way.low),
                end(way.high),
                flow.n.to_string(),
            ]);
        }
    }
    let share = |of: &Flow, seen| {
        of.ways.iter().filter(|w| w.seen == seen).map(|w| w.share).sum::<f64>()
    };
    Some(Figure {
        id: "substitution",
        title: format!(
            "{} of those who had {product} were seen with a rival alone after; of {} nothing \
             is known",
            percent(share(whole, SeenWith::Rival)),
            percent(share(whole, SeenWith::Nothing))
        ),
        subtitle: format!(
            "Organisations active before, by what they were seen with after, {}",
            windows(found.before, found.after)
        ),
        caveat: "Visibility not separated from usage.".to_owned(),
        source: None,
        notes: vec![
            "Rivals are the products in the catalog; others are not seen. Ranges: middle 95% \
             of a Dirichlet distribution."
                .to_owned(),
        ],
        description: format!(
            "Bands from {} to five ways; the table has the shares.",
            counted(whole.n, "organisation", "organisations")
        ),
        chart: Chart::Flow(FlowChart {
            flows: found.flows.iter().map(|flow| drawn(flow, product)).collect(),
        }),
        table,
    })
}

fn drawn(flow: &Flow, product: &str) -> Drawn {
    let whom = match flow.of.as_str() {
        "all" => String::new(),
        code => format!(" in {}", country::in_sentence(code)),
    };
    let many = counted(flow.n, "organisation", "organisations");
    let way = |way: &Way| {
        let (band, words) = words(way.seen, product);
        let range = way.low.zip(way.high);
        let range = range.map(|(low, high)| format!(" ({})", percent_span(low, high)));
        FlowWay { band, words, share: way.share, range: range.unwrap_or_default() }
    };
    Drawn {
        from: format!("{many}{whom} that had {product} before"),
        ways: flow.ways.iter().map(way).collect(),
    }
}

fn words(seen: SeenWith, product: &str) -> (Band, String) {
    match seen {
        SeenWith::Product => (Band::Kept, format!("with {product} alone")),
        SeenWith::Both => (Band::Kept, format!("with {product} and a rival")),
        SeenWith::Rival => (Band::Other, "with a rival alone".to_owned()),
        SeenWith::Neither => {
            (Band::Neither, "with neither, though controls were seen".to_owned())
        }
        SeenWith::Nothing => {
            (Band::Unknown, "not even with controls: not known".to_owned())
        }
    }
}
