//! `tidegauge`: the plumbing, on one screen.
//!
//! Arguments become settings, a verb runs, its outcome becomes an exit code: 0 done,
//! 1 failed, 2 usage or settings, 3 done but input was lost beyond `--loss-max`.
//!
//! **Invariant:** the clock, the environment, standard output and the async runtime are
//! touched in this crate alone.

mod args;
mod clock;
mod cluster;
mod collect;
mod feed;
mod holders;
mod journal;
mod knowledge;
mod live;
mod opened;
mod output;
mod pipeline;
mod progress;
mod pseudonyms;
mod rank;
mod reference;
mod secret;
mod sending;
mod settings;
mod source;
mod stopped;
mod targets;
mod verb;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, LogFormat, Verb};
use crate::settings::Settings;

/// How a verb ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// It was done, but more input was lost than is acceptable.
    Incomplete,
    /// Nothing was done: the settings are wrong, and it was said how.
    Refused,
}

/// Stack of a thread. The engine plans a query by functions that call themselves, once for each
/// operator of a chain; memory is taken only as far as a stack is used.
const STACK_BYTES: usize = 64 << 20;

fn main() -> ExitCode {
    let typed = Arguments::parse();
    let settings = match Settings::gather(&typed.everywhere) {
        Ok(settings) => settings,
        Err(error) => {
            start_log(LogFormat::Text, typed.everywhere.verbose);
            tracing::error!("{error:#}");
            return ExitCode::from(2);
        }
    };
    start_log(settings.log_format, typed.everywhere.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(Box::pin(run(typed.verb, &settings)));
    // An assessment for a page, under way when serving ends, is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::from(2),
        Ok(Outcome::Incomplete) => ExitCode::from(3),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(verb: Verb, settings: &Settings) -> anyhow::Result<Outcome> {
    if settings.cluster.is_some() && !matches!(verb, Verb::Census(_)) {
        anyhow::bail!(
            "only `census` is counted on a cluster (hint: leave out --cluster)"
        );
    }
    match verb {
        Verb::Demo(demo) => verb::demo::run(&demo, settings).await,
        Verb::Ingest(ingest) => verb::ingest::run(&ingest, settings).await,
        Verb::Collect(collect) => verb::collect::run(&collect, settings).await,
        Verb::Catalog(catalog) => verb::catalog::run(&catalog, settings),
        Verb::Atlas(atlas) => verb::atlas::run(&atlas, settings).await,
        Verb::Census(census) => verb::census::run(&census, settings).await,
        Verb::Panel(panel) => verb::panel::run(&panel, settings).await,
        Verb::Assess(assess) => verb::assess::run(&assess, settings).await,
        Verb::Exposure(exposure) => verb::exposure::run(&exposure, settings).await,
        Verb::Watch(watch) => verb::watch::run(&watch, settings).await,
        Verb::Releases(releases) => verb::releases::run(&releases, settings).await,
        Verb::Report(report) => verb::report::run(&report, settings).await,
        Verb::Serve(serve) => verb::serve::run(&serve, settings).await,
        Verb::Mcp(mcp) => verb::mcp::run(&mcp, settings).await,
        Verb::Simulate(simulate) => verb::simulate::run(&simulate, settings),
        Verb::Lake(lake) => verb::lake::run(&lake, settings).await,
        Verb::Cluster(cluster) => cluster::run(&cluster, settings).await,
        Verb::Sql(sql) => verb::sql::run(&sql, settings).await,
        Verb::Config => verb::config::run(settings),
        Verb::Schema => verb::manual::schema(),
        Verb::Completions { shell } => verb::manual::completions(shell),
        Verb::Man => verb::manual::man(),
        Verb::Reference { page } => reference::run(page),
    }
}

/// Logs go to standard error, so that data on standard output stays clean.
fn start_log(format: LogFormat, verbose: u8) {
    let level = match verbose {
        // Of a cluster's client, whatever fails is told once, at the end.
        0 => {
            "tidegauge=info,warn,ballista_core::execution_plans::distributed_query=off"
        }
        1 => "tidegauge=debug,info",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    let log =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    match format {
        LogFormat::Json => log.json().init(),
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && !clock::no_colour();
            log.without_time().with_target(false).with_ansi(colour).init();
        }
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        // An error of csv does not name its cause.
        let of_csv = cause.downcast_ref::<csv::Error>().map(csv::Error::kind);
        let io = match of_csv {
            Some(csv::ErrorKind::Io(io)) => Some(io),
            _ => cause.downcast_ref::<std::io::Error>(),
        };
        io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    error.chain().any(broken)
}
