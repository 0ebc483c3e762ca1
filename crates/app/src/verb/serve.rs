//! `tidegauge serve`: the same figures, live.

use std::sync::Arc;

use anyhow::Context;
use tidegauge_publish::serve::{RateLimit, Settings as PageSettings, router};

use crate::live::{Live, assess_waiting};
use crate::opened::Opened;
use crate::settings::Settings;
use crate::verb::report;
use crate::{Outcome, args, clock};

/// Serves until it is interrupted.
pub(crate) async fn run(
    verb: &args::Serve,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let opened = Opened::open(settings, verb.evidence.map).await?;
    let simulated = report::simulated(&opened).await?;
    let (live, waiting) =
        Live::new(opened, verb.evidence.clone(), settings, simulated.as_ref())?;
    let live = Arc::new(live);
    let pages = PageSettings {
        program: format!("tidegauge {}", env!("CARGO_PKG_VERSION")),
        internal: verb.evidence.internal,
        synthetic: simulated.map(|s| s.synthetic),
        site: verb.site.as_ref().map(|site| site.trim_end_matches('/').to_owned()),
        origins: verb.allow_origin.clone(),
        limit: (verb.rate > 0).then(|| RateLimit {
            per_minute: verb.rate,
            clock: Arc::new(clock::monotonic),
        }),
    };
    let listener =
        tokio::net::TcpListener::bind(verb.listen).await.with_context(|| {
            format!("listening on {} (hint: --listen ADDRESS:PORT)", verb.listen)
        })?;
    tracing::info!("serving on http://{}/", listener.local_addr()?);
    let assessing = tokio::spawn(assess_waiting(Arc::clone(&live), waiting));
    let app = router(live, pages)
        .into_make_service_with_connect_info::<std::net::SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(interrupted()).await?;
    assessing.abort();
    Ok(Outcome::Done)
}

async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::error!("cannot wait for an interrupt: {error}");
    }
}
