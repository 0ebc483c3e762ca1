//! A build with the door: accepts connections beside the pages.
//!
//! **Invariant:** what readers get is what the pages give, from the same answers and under
//! the same disclosure rule. Tokens travel in the clear on this machine alone.

use std::sync::Arc;

use anyhow::{Context, ensure};
use futures::future::BoxFuture;
use tidegauge_census::postgres::{Door, Gate, Guest, View};
use tidegauge_model::ProductId;
use tidegauge_publish::serve::views::{PRODUCT, VIEWS, View as Told};
use tidegauge_publish::serve::{Access, Audited, Clearance, Digest};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Plan, Visitors};
use crate::live::Live;
use crate::opened::Opened;
use crate::verb::serve::tls::{Keys, POSTGRESQL, accepted};

/// Connections at once: above the pools of a few dashboards.
const CONNECTIONS_MAX: usize = 64;
/// What the record says was looked at.
const PLACE: &str = "postgres";

/// Opens the door; connections are served until the program ends.
pub(in crate::verb::serve) async fn open(plan: Plan<'_>) -> anyhow::Result<()> {
    let Plan { listen, opened, tls, visitors } = plan;
    let local = listen.ip().is_loopback();
    let gated = matches!(visitors, Visitors::Gated { .. });
    ensure!(
        local || (gated && tls.is_some()),
        "{listen} can be reached from other machines, so tokens and TLS are needed (hint: \
         --tokens FILE, --tls-certificate FILE and --tls-key FILE; or --postgres \
         127.0.0.1:5433)"
    );
    let counter = &opened.counter;
    let door = match visitors {
        Visitors::All { live, internal } => {
            Door::open(counter, views(opened, &live), internal).await?
        }
        Visitors::Gated { public, internal, access } => {
            let gate = Arc::new(Tokens(access));
            let (public, internal) = (views(opened, &public), views(opened, &internal));
            Door::gated(gate, counter, public, internal, !local).await?
        }
    };
    let keys = tls.map(|files| Keys::read(files, POSTGRESQL)).transpose()?;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("listening on {listen} (hint: --postgres ADDRESS:PORT)")
    })?;
    let address = listener.local_addr()?;
    tracing::info!("clients of PostgreSQL can read at {address}, database tidegauge");
    tokio::spawn(accept(listener, keys, door));
    Ok(())
}

/// Serves connections for ever.
async fn accept(listener: TcpListener, mut keys: Option<Keys>, door: Door) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let (socket, from) = accepted(&listener).await;
        let (door, tls) = (door.clone(), keys.as_mut().map(Keys::acceptor));
        tokio::spawn(async move {
            // Whoever does not speak the protocol is no news: scanners come all day.
            if let Err(error) = door.serve(socket, tls).await {
                tracing::debug!("the connection from {from} ended: {error}");
            }
            drop(place);
        });
    }
}

/// The views of the interface, made from what the pages are made of.
fn views(opened: &Opened, live: &Arc<Live>) -> Vec<View> {
    let products = opened.catalog.products().iter().map(|p| p.id.to_string());
    let products: Vec<String> = products.collect();
    let view = |view: &'static Told| {
        let live = Arc::clone(live);
        let rows = move |parts: Option<Vec<String>>| -> BoxFuture<'static, _> {
            let live = Arc::clone(&live);
            Box::pin(async move {
                let ids = |names: Vec<String>| names.into_iter().map(ProductId::new);
                let parts = parts.map(|names| ids(names).collect::<Vec<_>>());
                Ok(view.read(&*live, parts.as_deref()).await?)
            })
        };
        View {
            name: view.name,
            about: view.about,
            schema: view.schema(),
            parts: view.by_product().then(|| (PRODUCT, products.clone())),
            rows: Arc::new(rows),
        }
    };
    VIEWS.iter().map(view).collect()
}

/// Tokens as passwords.
struct Tokens(Access);

impl Gate for Tokens {
    fn admit(&self, password: &str) -> Option<Guest> {
        let digest = Digest::of(password);
        let Some(token) = self.0.tokens.iter().find(|token| token.digest == digest)
        else {
            (self.0.record)(Audited::Refused);
            return None;
        };
        (self.0.record)(Audited::Entered { name: &token.name });
        let internal = token.clearance == Clearance::Analyst;
        Some(Guest { name: token.name.clone(), internal })
    }

    fn saw(&self, guest: &Guest) {
        (self.0.record)(Audited::Saw { name: &guest.name, path: PLACE });
    }
}
