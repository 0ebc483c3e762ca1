//! What to do next, by what was seen and where the finding stands.
//!
//! **Invariant:** no step claims more than the signal proves: a look-up is never called an
//! installation.

use tidegauge_model::finding::FindingState;
use tidegauge_model::{Role, Signal};

use crate::portfolio::Kind;

/// What steps are made from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Whose it is.
    pub kind: Kind,
    /// Where the finding stands.
    pub state: FindingState,
    /// Role of the server of the strongest evidence.
    pub role: Role,
    /// The strongest signal.
    pub signal: Signal,
    /// The product.
    pub product: &'a str,
}

/// The steps, in order.
pub fn next_steps(situation: Situation<'_>) -> Vec<String> {
    let Situation { kind, state, role, signal, product } = situation;
    let mut steps = vec![meaning(role, signal, product)];
    match state {
        FindingState::Open | FindingState::Reappeared => {
            steps.push(match kind {
                Kind::Asset => format!(
                    "Find the hosts: ask the resolver, proxy or firewall log for the \
                     endpoints of the evidence on its days, then the software inventory for \
                     {product} and for products that embed its engine."
                ),
                Kind::Supplier => format!(
                    "Ask the supplier for the hosts behind the networks of the evidence, and whether \
                     {product} or a product that embeds its engine is on systems that serve \
                     you."
                ),
            });
            steps.push(closing(role, signal, product));
            if state == FindingState::Reappeared {
                steps.push(
                    "It was gone before: ask what brought it back (an old image, a backup, \
                     a new site, a subcontractor)."
                        .to_owned(),
                );
            }
        }
        FindingState::Quiet => steps.push(
            "Silence alone shows no removal. Ask for a confirmation in writing, or wait for \
             enough weeks in which a contact would have been seen."
                .to_owned(),
        ),
        FindingState::VerifiedRemoved => steps.push(
            "Nothing to do. Keep the row in the portfolio: a return is told.".to_owned(),
        ),
        FindingState::Disputed => steps.push(
            "Decide the dispute with its evidence: uphold it, or say that it is not \
             theirs and except the network in the portfolio."
                .to_owned(),
        ),
        FindingState::NotOurs => steps.push(
            "Nothing to do. Give the network to whoever holds it, or except it in the \
             portfolio."
                .to_owned(),
        ),
        FindingState::NotSeen
        | FindingState::NotVisible
        | FindingState::NotCheckable => {}
    }
    steps
}

/// The steps that a letter asks of a supplier.
pub fn asked(situation: Situation<'_>) -> Vec<String> {
    let Situation { state, role, signal, product, .. } = situation;
    let mut steps = vec![meaning(role, signal, product)];
    match state {
        FindingState::Open | FindingState::Reappeared => {
            steps.push(closing(role, signal, product));
        }
        FindingState::Quiet => steps.push(
            "Nothing was seen lately. If it was removed, please confirm it, with the date."
                .to_owned(),
        ),
        FindingState::Disputed => {
            steps.push("You or somebody else disputes this; it is being decided.".to_owned());
        }
        _ => {}
    }
    steps
}

fn meaning(role: Role, signal: Signal, product: &str) -> String {
    let proof = match signal {
        Signal::Served => ", and enough came back for it to have been served",
        Signal::Attempted => ", and nothing that could serve it came back",
        Signal::Indeterminate => {
            ", and what came back was not seen (sampled, or one way)"
        }
        Signal::Resolved => {
            return format!(
                "A name of {product} was looked up ({role}). That proves no installation: \
                 resolvers prefetch and scanners enumerate."
            );
        }
    };
    match role {
        Role::Update => format!(
            "An update of {product} was asked for{proof}: the product, or one that embeds \
             it, is installed."
        ),
        Role::Reputation => format!(
            "A reputation service of {product} was asked{proof}: the product runs and \
             tells its vendor what it meets."
        ),
        Role::Activation => format!(
            "A licence of {product} was checked{proof}: the product is installed."
        ),
        Role::Telemetry => format!(
            "{product} reported to its vendor{proof}: the product, its console or its \
             statistics are in use."
        ),
        Role::Installer => format!(
            "An installer of {product} was fetched{proof}: somebody may have installed it."
        ),
        Role::Website | Role::Time | Role::Reachability | Role::Other => format!(
            "A server of {product} was contacted ({role}){proof}: that alone proves no use."
        ),
    }
}

fn closing(role: Role, signal: Signal, product: &str) -> String {
    if signal == Signal::Resolved {
        return format!(
            "Find what looked the name up. If {product} or its agents are there, replace the \
             protection they give and remove them; if not, say what asked."
        );
    }
    let unserved = matches!(signal, Signal::Attempted) && role == Role::Update;
    let mut text = format!(
        "Remove {product} and its agents, replace the protection it gave before it goes, \
         and block the endpoints of the evidence afterwards so that what was forgotten shows itself."
    );
    if unserved {
        text.push_str(
            " Until then the host has protection without updates: do it first.",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_is_never_an_installation() {
        for &role in Role::ALL {
            for &state in FindingState::ALL {
                for kind in [Kind::Asset, Kind::Supplier] {
                    let signal = Signal::Resolved;
                    let product = "kaspersky";
                    let situation = Situation { kind, state, role, signal, product };
                    let steps = next_steps(situation).join(" ");
                    assert!(steps.contains("proves no installation"), "{steps}");
                    assert!(!steps.contains("is installed"), "{steps}");
                    assert!(!steps.contains("Remove kaspersky"), "{steps}");
                }
            }
        }
    }

    #[test]
    fn what_was_proven_is_a_clause_of_its_sentence() {
        let told = meaning(Role::Update, Signal::Indeterminate, "eset");
        assert!(told.contains("was asked for, and what came back"), "{told}");
    }

    #[test]
    fn what_runs_without_updates_comes_first() {
        let steps = next_steps(Situation {
            kind: Kind::Asset,
            state: FindingState::Open,
            role: Role::Update,
            signal: Signal::Attempted,
            product: "kaspersky",
        });
        assert!(steps[2].ends_with("do it first."), "{steps:?}");
    }
}
