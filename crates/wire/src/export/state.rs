//! What a collector keeps over a restart: templates, sampling rates, sequence numbers.
//!
//! **Invariant:** restoring is bounded and checked as if the exporters had sent it; what
//! does not fit, or is of another version, is left out, and templates come again.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::domain::{Domain, Export, Key};
use super::sequence::Sequence;
use super::template::{Field, Template};
use super::{DOMAINS_MAX, Exports};

/// The version of the form below.
const VERSION: u32 = 1;

/// What a collector keeps over a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    exporters: Vec<Kept>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    exporter: Option<String>,
    port: u16,
    export: Export,
    domain: u32,
    sequence: Option<u32>,
    sampling: Option<NonZeroU32>,
    samplers: Vec<(u64, NonZeroU32)>,
    init_millis: Option<u64>,
    templates: Vec<Layout>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Layout {
    id: u16,
    options: bool,
    fields: Vec<Field>,
}

impl Exports {
    /// What to keep. Sets that wait are not in it: [`Exports::finish`] tells their loss.
    pub fn state(&self) -> State {
        let mut all: Vec<_> = self.domains.iter().collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        let exporters =
            all.into_iter().map(|(key, domain)| kept(key, domain)).collect();
        State { version: VERSION, exporters }
    }

    /// Goes on from what an earlier run kept. Exporters that were heard already are not
    /// changed.
    pub fn restore(&mut self, state: State) {
        if state.version != VERSION {
            return;
        }
        for kept in state.exporters {
            let exporter = match kept.exporter.as_deref().map(str::parse) {
                None => None,
                Some(Ok(address)) => Some(address),
                Some(Err(_)) => continue,
            };
            let (port, export, domain) = (kept.port, kept.export, kept.domain);
            let key = Key { exporter, port, export, domain };
            if self.domains.len() >= DOMAINS_MAX || self.domains.contains_key(&key) {
                continue;
            }
            let mut domain = Domain {
                sequence: Sequence::resumed(kept.sequence),
                init_millis: kept.init_millis,
                ..Domain::default()
            };
            domain.sampling.whole = kept.sampling;
            for (sampler, rate) in kept.samplers {
                domain.sampling.announce(Some(sampler), rate);
            }
            for layout in kept.templates {
                let Some(dialect) = key.dialect() else { continue };
                let template =
                    Template::compile(dialect, layout.options, layout.fields);
                if let Some(template) = template.filter(|_| self.room.has_fields()) {
                    self.room.fields += domain.define(layout.id, template).unwrap_or(0);
                }
            }
            domain.tally.announced = 0;
            self.domains.insert(key, domain);
        }
    }
}

fn kept(key: &Key, domain: &Domain) -> Kept {
    let mut templates: Vec<_> = domain
        .templates
        .iter()
        .map(|(id, template)| Layout {
            id: *id,
            options: template.options,
            fields: template.fields.to_vec(),
        })
        .collect();
    templates.sort_unstable_by_key(|layout| layout.id);
    Kept {
        exporter: key.exporter.map(|address| address.to_string()),
        port: key.port,
        export: key.export,
        domain: key.domain,
        sequence: domain.sequence.next(),
        sampling: domain.sampling.whole,
        samplers: domain
            .sampling
            .samplers
            .iter()
            .map(|(id, rate)| (*id, *rate))
            .collect(),
        init_millis: domain.init_millis,
        templates,
    }
}
