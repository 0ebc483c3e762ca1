//! What was typed, what the file says, and the defaults, made into one.
//!
//! **Invariant:** flag > environment > file > default. Unknown keys of the file are
//! refused. `tidegauge config` prints a file that reads back as the same settings.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use tidegauge_model::Instant;
use tidegauge_store::Lake;

use crate::args::{Everywhere, Format, LogFormat};

/// Name of the settings file that is read without being asked for.
const FILE: &str = "tidegauge.toml";
/// Where the lake is unless told.
const LAKE: &str = "./lake";
/// Memory for counting unless told: a laptop has room for it, and the full demo needs
/// less. Picked by measurement on the demo.
const MEMORY_MIB: usize = 1024;
/// Share of lost input that is still a success. Picked by hand: captures end in a cut
/// packet, logs in a cut line; one in twenty is no accident any more.
const LOSS_MAX: f64 = 0.05;
/// Seconds between two commits of the collector unless told: what a kill may cost, against
/// one small file a table and day for each. Picked by hand.
const COMMIT_EVERY_SECONDS: u64 = 60;
/// MiB of receive buffer unless told: a tenth of a second at a gigabit.
const RECEIVE_BUFFER_MIB: usize = 16;
/// Folder of what the collector keeps over a restart, unless told.
const COLLECT_STATE: &str = "./collect";

/// The effective settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Folder or URL of the lake.
    pub(crate) lake: String,
    /// The lake is read as it stood then.
    pub(crate) as_of: Option<Instant>,
    /// Folder of catalog, policies, sectors and vantages; `None` for what is built in.
    pub(crate) data: Option<PathBuf>,
    /// File that says which ids are one organisation.
    pub(crate) organisations: Option<PathBuf>,
    /// Form of the output.
    pub(crate) format: Format,
    /// Form of the log.
    pub(crate) log_format: LogFormat,
    /// Memory for counting.
    pub(crate) memory_mib: usize,
    /// Share of lost input, 0 to 1, beyond which a run is incomplete.
    pub(crate) loss_max: f64,
    /// The collector.
    pub(crate) collect: Collect,
    /// The cluster that counts, of this run alone: no file says it.
    pub(crate) cluster: Option<String>,
}

/// The section `[collect]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Collect {
    /// Sockets, as after `--listen`.
    pub(crate) listen: Vec<String>,
    /// The vantage.
    pub(crate) vantage: Option<String>,
    /// Seconds between two commits.
    pub(crate) commit_every_seconds: u64,
    /// Folder of what survives a restart.
    pub(crate) state: PathBuf,
    /// Where metrics are served.
    pub(crate) metrics: Option<String>,
    /// MiB of receive buffer asked of the kernel for each UDP socket.
    pub(crate) receive_buffer_mib: usize,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            vantage: None,
            commit_every_seconds: COMMIT_EVERY_SECONDS,
            state: PathBuf::from(COLLECT_STATE),
            metrics: None,
            receive_buffer_mib: RECEIVE_BUFFER_MIB,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lake: Option<String>,
    data: Option<PathBuf>,
    organisations: Option<PathBuf>,
    format: Option<Format>,
    log_format: Option<LogFormat>,
    memory_mib: Option<usize>,
    loss_max: Option<f64>,
    #[serde(default)]
    collect: Collect,
}

impl Settings {
    /// Opens the lake, as it stands or stood.
    pub(crate) async fn open_lake(&self) -> tidegauge_store::Result<Lake> {
        match self.as_of {
            Some(as_of) => Lake::open_as_of(&self.lake, as_of).await,
            None => Lake::open(&self.lake).await,
        }
    }

    /// Reads the settings file, if there is one, and puts what was typed above it.
    pub(crate) fn gather(typed: &Everywhere) -> anyhow::Result<Self> {
        let file = match &typed.config {
            Some(path) => read(path)?,
            None if Path::new(FILE).is_file() => read(Path::new(FILE))?,
            None => File::default(),
        };
        let settings = Self {
            lake: typed.lake.clone().or(file.lake).unwrap_or_else(|| LAKE.to_owned()),
            as_of: typed.as_of,
            data: typed.data.clone().or(file.data),
            organisations: typed.organisations.clone().or(file.organisations),
            format: typed.format.or(file.format).unwrap_or(Format::Table),
            log_format: typed.log_format.or(file.log_format).unwrap_or(LogFormat::Text),
            memory_mib: typed.memory.or(file.memory_mib).unwrap_or(MEMORY_MIB),
            loss_max: file.loss_max.unwrap_or(LOSS_MAX),
            collect: file.collect,
            cluster: typed.cluster.clone(),
        };
        anyhow::ensure!(
            (0.0..=1.0).contains(&settings.loss_max),
            "loss_max is a share from 0 to 1, not {}",
            settings.loss_max
        );
        for listen in &settings.collect.listen {
            let read = listen.parse::<crate::collect::Listen>();
            read.map_err(|error| anyhow::anyhow!("in [collect]: {error}"))?;
        }
        anyhow::ensure!(
            settings.memory_mib >= 64,
            "memory is at least 64 MiB, not {}",
            settings.memory_mib
        );
        Ok(settings)
    }

    /// The settings as a commented file.
    pub(crate) fn as_file(&self) -> String {
        let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        let data = match &self.data {
            Some(folder) => format!("data = {:?}", folder.display().to_string()),
            None => "# data = \"FOLDER\"".to_owned(),
        };
        let organisations = match &self.organisations {
            Some(file) => format!("organisations = {:?}", file.display().to_string()),
            None => "# organisations = \"FILE\"".to_owned(),
        };
        format!(
            "# Settings of tidegauge. A flag wins over the environment, the environment over\n\
             # this file, this file over the defaults.\n\n\
             # The lake: a folder, or a file:// URL. Environment: TIDEGAUGE_LAKE.\n\
             lake = {:?}\n\n\
             # Folder whose catalog/, policies/, sectors/ and vantages/ are read instead of\n\
             # what is built in. Environment: TIDEGAUGE_DATA.\n\
             {data}\n\n\
             # File that says which ids are one organisation, and what is known of it.\n\
             # Environment: TIDEGAUGE_ORGANISATIONS.\n\
             {organisations}\n\n\
             # Form of the output: table, json, csv or parquet.\n\
             format = {:?}\n\n\
             # Form of the log on standard error: text or json.\n\
             log_format = {:?}\n\n\
             # Memory that counting may use, in MiB; beyond it, it spills to disk.\n\
             memory_mib = {}\n\n\
             # Share of lost input, 0 to 1, beyond which ingest ends with exit code 3.\n\
             loss_max = {:?}\n\n{}",
            self.lake,
            word(&self.format),
            word(&self.log_format),
            self.memory_mib,
            self.loss_max,
            self.collect.as_section(),
        )
    }
}

impl Collect {
    /// The settings as a commented section.
    fn as_section(&self) -> String {
        let given = |key: &str, value: Option<&String>, example: &str| match value {
            Some(value) => format!("{key} = {value:?}"),
            None => format!("# {key} = {example:?}"),
        };
        format!(
            "# The live collector.\n\
             [collect]\n\
             # Sockets: udp://ADDRESS:PORT for NetFlow, IPFIX and sFlow; tcp://ADDRESS:PORT or\n\
             # unix:///PATH for dnstap.\n\
             listen = {:?}\n\n\
             # Where it is seen: a name, described by vantages/NAME.toml.\n\
             {}\n\n\
             # Seconds between two commits to the lake: what a kill may cost.\n\
             commit_every_seconds = {}\n\n\
             # Folder of what survives a restart: templates, sampling, sequence numbers.\n\
             state = {:?}\n\n\
             # Where /metrics, /healthz and /readyz are served.\n\
             {}\n\n\
             # MiB of receive buffer asked of the kernel for each UDP socket.\n\
             receive_buffer_mib = {}\n",
            self.listen,
            given("vantage", self.vantage.as_ref(), "NAME"),
            self.commit_every_seconds,
            self.state.display().to_string(),
            given("metrics", self.metrics.as_ref(), "127.0.0.1:9469"),
            self.receive_buffer_mib,
        )
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading settings from {}", path.display()))?;
    toml::from_str(&text).with_context(|| {
        format!(
            "settings in {} (hint: `tidegauge config` prints a valid file)",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_file_reads_back() {
        let settings = Settings {
            lake: "a \"quoted\" lake".to_owned(),
            as_of: None,
            data: Some(PathBuf::from("here")),
            organisations: Some(PathBuf::from("them.toml")),
            format: Format::Csv,
            log_format: LogFormat::Json,
            memory_mib: 512,
            loss_max: 0.25,
            collect: Collect {
                listen: vec!["udp://[::]:2055".to_owned()],
                vantage: Some("edge".to_owned()),
                metrics: Some("127.0.0.1:9469".to_owned()),
                ..Collect::default()
            },
            cluster: None,
        };
        let file: File = toml::from_str(&settings.as_file()).unwrap();
        assert_eq!(file.lake.as_deref(), Some(settings.lake.as_str()));
        assert_eq!(file.data, settings.data);
        assert_eq!(file.organisations, settings.organisations);
        assert_eq!(file.format, Some(Format::Csv));
        assert_eq!(file.log_format, Some(LogFormat::Json));
        assert_eq!((file.memory_mib, file.loss_max), (Some(512), Some(0.25)));
        assert_eq!(file.collect, settings.collect);
        let plain = Settings { collect: Collect::default(), ..settings };
        let file: File = toml::from_str(&plain.as_file()).unwrap();
        assert_eq!(file.collect, Collect::default());
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<File>("lack = 'x'").is_err());
    }
}
