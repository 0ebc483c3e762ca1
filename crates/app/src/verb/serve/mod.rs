//! `tidegauge serve`: the same figures, live.
//!
//! * `tls`: HTTPS; `tokens`: the file of those who may come in; `postgres`: the door for
//!   clients of `PostgreSQL`.
//!
//! **Invariant:** beyond the machine itself nothing is served without a token; what is
//! internal is served to whoever started the program, or to analysts, and that is recorded.

mod postgres;
mod tls;
mod tokens;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use axum::Router;
use serde_json::json;
use tidegauge_publish::serve::{
    Access, Audited, RateLimit, Readers, Record, Settings as PageSettings, gated,
    router,
};

use crate::live::{Book, Live, assess_waiting};
use crate::opened::Opened;
use crate::settings::Settings;
use crate::stopped::stopped;
use crate::verb::exposure;
use crate::verb::report::{self, Simulated};
use crate::verb::serve::postgres::{Plan, Visitors};
use crate::verb::serve::tls::TlsListener;
use crate::{Outcome, args, clock, journal};

/// Serves until it is interrupted, or makes a token.
pub(crate) async fn run(
    verb: &args::Serve,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    if let Some(args::ServeVerb::Token(asked)) = &verb.verb {
        let token = tokens::add(asked)?;
        writeln!(std::io::stdout(), "{token}").context("writing to standard output")?;
        tracing::info!(
            "the token of {} is above; it is kept nowhere else: {} has its digest",
            asked.name,
            asked.tokens.display()
        );
        return Ok(Outcome::Done);
    }
    if verb.tokens.is_none() && !verb.listen.ip().is_loopback() {
        bail!(
            "{} can be reached from other machines, so tokens are needed (hint: `tidegauge \
             serve token NAME --clearance reader --tokens FILE`, then --tokens FILE; or listen \
             on 127.0.0.1)",
            verb.listen
        );
    }
    if verb.findings.portfolio.is_some()
        && verb.tokens.is_none()
        && !verb.evidence.internal
    {
        bail!(
            "findings are for the operator and for analysts (hint: with --portfolio, give \
             --internal or --tokens FILE)"
        );
    }
    let opened = Arc::new(Opened::open(settings, verb.evidence.map).await?);
    let simulated = report::simulated(&opened).await?;
    let house = House { verb, settings, simulated: simulated.as_ref() };
    let (app, visitors) = house.open(&opened)?;
    if let Some(listen) = verb.postgres {
        let plan = Plan { listen, opened: &opened, tls: tls_files(verb), visitors };
        postgres::open(plan).await?;
    }
    let listener =
        tokio::net::TcpListener::bind(verb.listen).await.with_context(|| {
            format!("listening on {} (hint: --listen ADDRESS:PORT)", verb.listen)
        })?;
    let address = listener.local_addr()?;
    let Some(files) = tls_files(verb) else {
        tracing::info!("serving on http://{address}/");
        let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
        axum::serve(listener, app).with_graceful_shutdown(stopped()?).await?;
        return Ok(Outcome::Done);
    };
    let listener = TlsListener::new(listener, files)?;
    tracing::info!("serving on https://{address}/");
    let app =
        tls::told_who_asks(app).into_make_service_with_connect_info::<tls::Peer>();
    axum::serve(listener, app).with_graceful_shutdown(stopped()?).await?;
    Ok(Outcome::Done)
}

/// Certificate and key, if HTTPS is wanted.
fn tls_files(verb: &args::Serve) -> Option<tls::Files> {
    let (certificate, key) = verb.tls_certificate.clone().zip(verb.tls_key.clone())?;
    Some(tls::Files { certificate, key })
}

/// What all pages have in common.
struct House<'a> {
    verb: &'a args::Serve,
    settings: &'a Settings,
    simulated: Option<&'a Simulated>,
}

impl House<'_> {
    /// The pages, and who comes to them.
    fn open(&self, opened: &Arc<Opened>) -> anyhow::Result<(Router, Visitors)> {
        let Some(path) = &self.verb.tokens else {
            let internal = self.verb.evidence.internal;
            let live = self.live(opened, internal)?;
            let app = router(Arc::clone(&live) as _, self.pages(internal));
            return Ok((app, Visitors::All { live, internal }));
        };
        let access = self.access(path)?;
        let (public, internal) = (self.live(opened, false)?, self.live(opened, true)?);
        let app = gated(
            router(Arc::clone(&public) as _, self.pages(false)),
            router(Arc::clone(&internal) as _, self.pages(true)),
            access.clone(),
        );
        Ok((app, Visitors::Gated { public, internal, access }))
    }

    /// What answers everybody, or the operator and analysts.
    fn live(&self, opened: &Arc<Opened>, internal: bool) -> anyhow::Result<Arc<Live>> {
        let evidence = args::Evidence { internal, ..self.verb.evidence.clone() };
        let book =
            if internal { book(&self.verb.findings, self.settings)? } else { None };
        live(Arc::clone(opened), evidence, self.settings, self.simulated, book)
    }

    fn pages(&self, internal: bool) -> PageSettings {
        let verb = self.verb;
        PageSettings {
            program: format!("tidegauge {}", env!("CARGO_PKG_VERSION")),
            internal,
            findings: verb.findings.portfolio.is_some(),
            readers: match (&verb.tokens, &verb.site) {
                (Some(_), _) => Readers::Known,
                (None, Some(_)) => Readers::All,
                (None, None) => Readers::Here,
            },
            synthetic: self.simulated.map(|s| s.synthetic.clone()),
            site: verb.site.as_ref().map(|site| site.trim_end_matches('/').to_owned()),
            origins: verb.allow_origin.clone(),
            // Behind tokens, the gate counts requests.
            limit: self.limit().filter(|_| verb.tokens.is_none()),
        }
    }

    fn limit(&self) -> Option<RateLimit> {
        let per_minute = self.verb.rate;
        let limit = || RateLimit { per_minute, clock: Arc::new(clock::monotonic) };
        (per_minute > 0).then(limit)
    }

    fn access(&self, path: &Path) -> anyhow::Result<Access> {
        let https = |site: &String| site.starts_with("https://");
        let secure = self.verb.tls_certificate.is_some()
            || self.verb.site.as_ref().is_some_and(https);
        if !secure && !self.verb.listen.ip().is_loopback() {
            tracing::warn!(
                "tokens travel in the clear unless something before this server speaks \
                 TLS (hint: --tls-certificate and --tls-key; or --site https://… if \
                 something does)"
            );
        }
        Ok(Access {
            tokens: tokens::read(path)?,
            record: record(self.verb.audit.as_deref())?,
            limit: self.limit(),
            secure,
        })
    }
}

/// What answers pages and interface. Acts that are asked for are assessed beside it, until
/// the program ends.
pub(super) fn live(
    opened: Arc<Opened>,
    evidence: args::Evidence,
    settings: &Settings,
    simulated: Option<&Simulated>,
    book: Option<Book>,
) -> anyhow::Result<Arc<Live>> {
    let (live, waiting) = Live::new(opened, evidence, settings, simulated, book)?;
    let live = Arc::new(live);
    tokio::spawn(assess_waiting(Arc::clone(&live), waiting));
    Ok(live)
}

/// Appends to the file a JSON object a line; into the log without one.
fn record(path: Option<&Path>) -> anyhow::Result<Record> {
    let Some(path) = path else {
        return Ok(Arc::new(|audited| tracing::info!("{}", line(audited))));
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    let (file, path) = (Mutex::new(file), path.to_owned());
    Ok(Arc::new(move |audited| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{}", line(audited)) {
            tracing::error!("{}: {error}", path.display());
        }
    }))
}

fn line(audited: Audited<'_>) -> serde_json::Value {
    let at = clock::now().to_string();
    match audited {
        Audited::Saw { name, path } => {
            json!({ "at": at, "event": "saw", "name": name, "path": path })
        }
        Audited::Entered { name } => {
            json!({ "at": at, "event": "entered", "name": name })
        }
        Audited::Refused => json!({ "at": at, "event": "refused" }),
    }
}

/// Where findings come from, if a portfolio was named.
pub(crate) fn book(
    asked: &args::ShownFindings,
    settings: &Settings,
) -> anyhow::Result<Option<Book>> {
    let Some(path) = asked.portfolio.clone() else { return Ok(None) };
    // What is wrong with it is told at once, not to the first reader.
    exposure::portfolio(&path)?;
    let ledger = journal::ledger_path(asked.kept.ledger.as_deref(), settings)?;
    let sender = asked.sender.clone();
    Ok(Some(Book { portfolio: path, ledger, sender }))
}
