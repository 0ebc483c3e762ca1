//! Every form of the findings, as files of a folder or as the text of one.
//!
//! **Invariant:** what is for others (STIX, MISP, letters) is made from masked dossiers.

use std::path::Path;

use anyhow::Context;
use tidegauge_enrich::catalog::Catalog;
use tidegauge_exposure::out::letter::{Faces, Masked, Names, Sender, letters};
use tidegauge_exposure::out::{defectdojo, document, ecs, misp, ocsf, stix, table};
use tidegauge_exposure::{Dossier, Ledger, Portfolio, id::Id};
use tidegauge_model::{Day, EndpointId, ProductId};
use tidegauge_publish::face;
use tidegauge_publish::finding::Export;

use super::combine;
use crate::args;

/// Writes them all.
pub(super) fn forms(
    folder: &Path,
    portfolio: &Portfolio,
    (ledger, house, as_of): (&Ledger, &[Dossier], Day),
    catalog: &Catalog,
    verb: &args::Exposure,
) -> anyhow::Result<()> {
    let masked = Masked::new(portfolio, ledger, as_of, &combine);
    for form in Export::ALL {
        write(folder, form.file_name(), &text(form, house, &masked, &verb.sender)?)?;
    }
    let sender = Sender { name: verb.sender.clone(), reply_to: verb.reply_to.clone() };
    let faces = Faces { regular: face::REGULAR, bold: face::BOLD };
    let names = Names {
        product: &|id| product_name(catalog, id),
        server: &|id| server(catalog, id),
    };
    for letter in letters(&masked, &sender, names, &faces)? {
        // Keys are text of the user's; ids are names of files everywhere.
        let name = Id::OURS.of(&format!("letter:{}", letter.subject));
        let folder = folder.join("letters");
        write(&folder, &format!("{name}.html"), &letter.html)?;
        write(&folder, &format!("{name}.pdf"), &letter.pdf)?;
    }
    tracing::info!("written to {}", folder.display());
    Ok(())
}

/// The name of a product for readers.
pub(crate) fn product_name(catalog: &Catalog, id: &ProductId) -> String {
    catalog.product(id.as_str()).map_or_else(|| id.to_string(), |p| p.name.clone())
}

/// What a server is to be looked for by, if the catalog still has it.
pub(crate) fn server(catalog: &Catalog, id: &EndpointId) -> Option<String> {
    Some(catalog.endpoint(id.as_str())?.pattern.in_words())
}

/// One form as text; `sender` publishes the event for MISP.
pub(crate) fn text(
    form: Export,
    house: &[Dossier],
    masked: &Masked,
    sender: &str,
) -> anyhow::Result<String> {
    let others = masked.dossiers();
    Ok(match form {
        Export::Csv => table::csv(house)?,
        Export::Json => document::json(house)?,
        Export::Stix => stix::bundle(others)?,
        Export::Misp => misp::event(others, sender)?,
        Export::DefectDojo => defectdojo::findings(house)?,
        Export::Ecs => ecs::events(house),
        Export::Ocsf => ocsf::events(house),
    })
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, content))
        .with_context(|| format!("writing {}", path.display()))
}
