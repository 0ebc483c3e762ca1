//! What was typed. No side effects, no defaults that depend on the machine.
//!
//! **Invariant:** a flag means the same in every verb that has it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use tidegauge_model::count::{Dating, Dimension};
use tidegauge_model::{
    Country, Day, DayRange, Gap, Instant, NetworkKind, PolicyId, Prefix, ProductId,
    Role, SectorId, VantageId, Weight,
};

/// Measures how the use of a product rises and falls on the internet, against the dates
/// on which somebody acted on it.
#[derive(Debug, Parser)]
#[command(name = "tidegauge", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) everywhere: Everywhere,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that every verb has.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Everywhere {
    /// The lake: a folder, or a file:// URL [default: ./lake]
    #[arg(long, global = true, env = "TIDEGAUGE_LAKE", value_name = "DIR|URL")]
    pub(crate) lake: Option<String>,
    /// Read the lake as it stood then: YYYY-MM-DD (the end of that day) or
    /// YYYY-MM-DDTHH:MM:SSZ. Catalog and rules are today's
    #[arg(long, global = true, value_name = "TIME")]
    pub(crate) as_of: Option<Instant>,
    /// Folder whose `catalog/`, `policies/`, `sectors/` and `vantages/` are read instead
    /// of what is built in
    #[arg(long, global = true, env = "TIDEGAUGE_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// File that says which ids are one organisation, and what is known of it:
    /// `sectors/README.md`
    #[arg(
        // `--organisations` is the scale of a world.
        id = "organisations_file",
        long = "organisations-file",
        global = true,
        env = "TIDEGAUGE_ORGANISATIONS",
        value_name = "FILE"
    )]
    pub(crate) organisations: Option<PathBuf>,
    /// Settings file [default: ./tidegauge.toml if there is one]
    #[arg(long, global = true, env = "TIDEGAUGE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Form of the output [default: table]
    #[arg(long, global = true, value_enum)]
    pub(crate) format: Option<Format>,
    /// Form of the log on standard error [default: text]
    #[arg(long, global = true, value_enum)]
    pub(crate) log_format: Option<LogFormat>,
    /// Memory that counting may use, in MiB [default: 1024]
    #[arg(long, global = true, value_name = "MIB")]
    pub(crate) memory: Option<usize>,
    /// Counts on the cluster whose scheduler is there; only for `census`
    #[arg(long, global = true, value_name = "df://HOST:PORT")]
    pub(crate) cluster: Option<String>,
    /// Says more; twice says everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One document with a schema version.
    Json,
    /// RFC 4180, with a header.
    Csv,
    /// A Parquet file on standard output.
    Parquet,
}

/// Forms of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The steps of the pipe.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// A calibrated synthetic 2024: simulated, ingested, counted, assessed, reported
    Demo(Demo),
    /// Read telemetry into the lake: files, folders, or `-` for standard input
    Ingest(Ingest),
    /// Collect live telemetry into the lake: NetFlow, IPFIX, sFlow, dnstap
    Collect(Collect),
    /// The products and servers that are looked for
    #[command(subcommand)]
    Catalog(Catalog),
    /// Who held an address, when
    #[command(subcommand)]
    Atlas(Atlas),
    /// Distinct addresses and organisations, by any combination of dimensions
    Census(Census),
    /// Weekly detection histories of organisations
    Panel(Panel),
    /// What an act did: removal and net change with intervals
    Assess(Assess),
    /// Which of our assets and suppliers are still in contact
    Exposure(Exposure),
    /// Tell what changed of findings: webhooks, chat, mail, syslog
    Watch(Watch),
    /// Write a self-contained report: page, Markdown, JSON, figures, tables
    Report(Report),
    /// What was published, and what the same questions say today
    #[command(subcommand)]
    Releases(Releases),
    /// Serve the same figures live
    Serve(Serve),
    /// Let an assistant ask, over standard input and output (Model Context Protocol)
    Mcp(Mcp),
    /// Write a synthetic world with known truth as telemetry
    Simulate(Simulate),
    /// Look after the lake
    #[command(subcommand)]
    Lake(Lake),
    /// Ask the lake in SQL, read only
    Sql(Sql),
    /// Count on several machines: the processes of a cluster
    #[command(subcommand)]
    Cluster(Cluster),
    /// Print the effective settings as a commented file
    Config,
    /// Print the JSON Schema of what `--format json` prints
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Print a page of the reference documentation
    #[command(hide = true)]
    Reference {
        /// The page
        page: ReferencePage,
    },
}

/// Pages of the generated reference.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ReferencePage {
    /// Every command and flag.
    Commands,
    /// Every table and column of the lake.
    Lake,
    /// Every endpoint of the built-in catalog.
    Catalog,
    /// Every act and event of the built-in policies.
    Policies,
    /// Every metric of the collector.
    Metrics,
    /// Every route of the interface, for readers.
    Api,
    /// The same, for programs: `OpenAPI`.
    Openapi,
    /// Every view for other programs.
    Views,
    /// The JSON Schema of every document.
    Schema,
}

/// How the synthetic world is made.
#[derive(Clone, Debug, Args)]
pub(crate) struct World {
    /// Scale of the world: 1.0 is 22,000 organisations
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    pub(crate) organisations: f64,
    /// Share of consumer addresses that is simulated
    #[arg(long, default_value_t = 0.01, value_name = "SHARE")]
    pub(crate) eyeball: f64,
    /// Seed of everything random
    #[arg(long, default_value_t = tidegauge_simulate::DEFAULT_SEED)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) world: World,
    /// Where everything is written
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Popularity of host names over time, for a figure of its own (CSV with the columns
    /// `snapshot_date`, `vendor`, `role`, `host`, `best_tier`)
    #[arg(long, value_name = "FILE")]
    pub(crate) rank_panel: Option<PathBuf>,
    /// Compare the counts with the published figures; fail if one is missed by over 3 %
    #[arg(long)]
    pub(crate) check_targets: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// Files, folders, `-`, or URLs (s3://, gs://, az://, https://; with a slash at the end,
    /// all objects below); archives of tar are opened; formats are recognised by content
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Where it was seen; described by `vantages/NAME.toml`, if that exists
    #[arg(long, value_name = "NAME", value_parser = vantage_name)]
    pub(crate) vantage: VantageId,
    /// Folder of vantage descriptions [default: `vantages` in --data, else ./vantages]
    #[arg(long, value_name = "DIR")]
    pub(crate) vantages: Option<PathBuf>,
    /// What the columns of Parquet or CSV flows mean
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// Keep sightings of control products for one client in so many
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) control_sampling: std::num::NonZeroU32,
    /// Share of lost input, 0 to 1, beyond which the exit code is 3 [default: 0.05]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) loss_max: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Where to listen: `udp://ADDRESS:PORT` for NetFlow, IPFIX and sFlow;
    /// `tcp://ADDRESS:PORT` or `unix:///PATH` for dnstap; may be repeated
    #[arg(long, value_name = "URL")]
    pub(crate) listen: Vec<crate::collect::Listen>,
    /// Where it is seen; described by `vantages/NAME.toml`, if that exists
    #[arg(long, value_name = "NAME", value_parser = vantage_name)]
    pub(crate) vantage: Option<VantageId>,
    /// Folder of vantage descriptions [default: `vantages` in --data, else ./vantages]
    #[arg(long, value_name = "DIR")]
    pub(crate) vantages: Option<PathBuf>,
    /// Seconds between two commits to the lake [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) commit_every: Option<u64>,
    /// Folder of what survives a restart: templates, sampling, sequence numbers
    /// [default: ./collect]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Serve /metrics, /healthz and /readyz here
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<String>,
    /// MiB of receive buffer asked of the kernel for each UDP socket [default: 16]
    #[arg(long, value_name = "MIB")]
    pub(crate) receive_buffer: Option<usize>,
    /// Keep sightings of control products for one client in so many
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) control_sampling: std::num::NonZeroU32,
    /// Only check the settings and say what would be done
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// Validate the catalog; tell every mistake at once
    Check,
    /// List the entries
    List {
        /// Only this product
        #[arg(long)]
        product: Option<ProductId>,
    },
    /// Say which entry a host name or an address would match, and why
    Explain {
        /// Host name or address
        subject: String,
        /// On this day [default: today]
        #[arg(long, value_name = "DATE")]
        on: Option<Day>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Atlas {
    /// Store what a source said on a day
    Import {
        /// ip2asn, rpsl, mrt, mmdb, holders or another of docs/reference/sources.md
        #[arg(long, value_name = "KIND")]
        source: String,
        /// Name under which the source is kept [default: the kind]
        #[arg(long)]
        name: Option<String>,
        /// The day the files describe
        #[arg(long, value_name = "DATE")]
        snapshot: Day,
        /// The files; gzip, zstd and bzip2 are undone
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say who held an address on a day, and on what evidence
    Lookup {
        /// The address
        address: tidegauge_model::Address,
        /// On this day
        #[arg(long, value_name = "DATE")]
        on: Day,
        #[command(flatten)]
        map: MapRules,
    },
    /// Say how many addresses, and whose, changed hands between two days
    Diff {
        /// One day
        from: Day,
        /// Another
        to: Day,
        /// Compare all address space that any table names, not the lake's clients
        #[arg(long)]
        space: bool,
        #[command(flatten)]
        map: MapRules,
    },
    /// Write the map out: every range of addresses, who held it, and on which of the days
    Export {
        /// First day
        #[arg(long, value_name = "DATE")]
        from: Day,
        /// Last day, included
        #[arg(long, value_name = "DATE")]
        to: Day,
        #[command(flatten)]
        map: MapRules,
    },
}

/// How the map of holders is made of what the tables said.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MapRules {
    /// Forget what was learnt after this day
    #[arg(long, value_name = "DATE")]
    pub(crate) known: Option<Day>,
    /// Between two snapshots that differ: `carry` the earlier, the same `disputed` (with
    /// half the confidence), or `unattributed`
    #[arg(long, default_value = "carry", value_name = "RULE")]
    pub(crate) gap: Gap,
    /// Before the first snapshot of a source: `carry` it back, the same `disputed`, or
    /// `unattributed`
    #[arg(long, default_value = "carry", value_name = "RULE")]
    pub(crate) before_first: Gap,
}

impl MapRules {
    /// Carried, nothing forgotten.
    pub(crate) const DEFAULT: Self =
        Self { known: None, gap: Gap::Carry, before_first: Gap::Carry };
}

/// Which sightings count as use, and on whose map.
#[derive(Clone, Debug, Args)]
pub(crate) struct Evidence {
    /// Only this product; may be repeated
    #[arg(long, value_name = "PRODUCT")]
    pub(crate) product: Vec<ProductId>,
    /// The map of holders: that of one day, or `each-day` [default: the first day counted;
    /// a census by month or week shows both]
    #[arg(long, value_name = "DATE|each-day")]
    pub(crate) on: Option<Dating>,
    #[command(flatten)]
    pub(crate) map: MapRules,
    /// Roles of servers that count as use
    #[arg(long, value_delimiter = ',', default_value = "update", value_name = "ROLE")]
    pub(crate) role: Vec<Role>,
    /// Least weight that counts as use
    #[arg(long, default_value = "medium", value_name = "WEIGHT")]
    pub(crate) weight_min: Weight,
    /// Networks in which an address stands for its organisation
    #[arg(long, value_delimiter = ',', default_value = "own", value_name = "KIND")]
    pub(crate) kind: Vec<NetworkKind>,
    /// Days with a sighting from which an organisation is active
    #[arg(
        long,
        default_value_t = 2,
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) active_days: u32,
    /// Lift the disclosure rule: for the operator's eyes, not for publication
    #[arg(long)]
    pub(crate) internal: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Census {
    #[command(subcommand)]
    pub(crate) verb: Option<CensusVerb>,
    #[command(flatten)]
    pub(crate) evidence: Evidence,
    /// What cells are split by
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "product",
        value_name = "DIMENSION"
    )]
    pub(crate) by: Vec<Dimension>,
    /// First day [default: the first in the lake]
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<Day>,
    /// Last day [default: the last in the lake]
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<Day>,
    /// A window, FIRST..LAST or YYYY-MM, once for each: counts what was seen in which of them
    ///
    /// A row `1+2` is of what was seen in the first and the second (it stayed), `1` of what was
    /// seen in the first alone (it left), `2` in the second alone (it is new); of three
    /// windows, `1+3` came back. Windows must be of one length.
    #[arg(long, value_name = "WINDOW", conflicts_with_all = ["from", "to"])]
    pub(crate) window: Vec<DayRange>,
    /// Only organisations of this country; may be repeated
    #[arg(long)]
    pub(crate) country: Vec<Country>,
    /// Only organisations of this sector; may be repeated
    #[arg(long)]
    pub(crate) sector: Vec<SectorId>,
    /// Say how it would be counted, and do not count
    #[arg(long)]
    pub(crate) explain: bool,
    /// Counts organisations under differential privacy: noise in place of suppression
    ///
    /// The budget of the whole table, from 0.001 to 10; less protects more. Cells are split by
    /// month, country and sector alone; days must be named, since those of the lake would tell
    /// of their own. See "Disclosure" in the methods.
    #[arg(
        long,
        value_name = "EPSILON",
        requires_all = ["key", "from", "to"],
        conflicts_with_all = ["internal", "window", "explain"]
    )]
    pub(crate) epsilon: Option<f64>,
    /// File of the key that makes the noise (`lake key FILE` makes one): the same question on
    /// the same lake has one answer
    #[arg(long, value_name = "FILE", requires = "epsilon")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CensusVerb {
    /// Explain, cell by cell, what changes if the same sightings are counted on another map
    Diff {
        /// The map of this day
        a: Day,
        /// Against that of this day
        b: Day,
        /// First day of the sightings [default: the first in the lake]
        #[arg(long, value_name = "DATE")]
        from: Option<Day>,
        /// Last day of the sightings [default: the last in the lake]
        #[arg(long, value_name = "DATE")]
        to: Option<Day>,
        #[command(flatten)]
        evidence: Evidence,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Panel {
    #[command(flatten)]
    pub(crate) evidence: Evidence,
    /// First day [default: the first in the lake]
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<Day>,
    /// Last day [default: the last in the lake]
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<Day>,
}

/// Two windows of equal length.
#[derive(Clone, Debug, Args)]
pub(crate) struct Compared {
    /// Window before, YYYY-MM or FIRST..LAST [default: chosen from the policy's dates]. Of two
    /// whole months as many days are compared as the shorter has; other windows must be
    /// equally long
    #[arg(
        long = "baseline",
        visible_alias = "before",
        value_name = "MONTH|FIRST..LAST"
    )]
    pub(crate) before: Option<DayRange>,
    /// Window after, likewise [default: chosen from the policy's dates]
    #[arg(long = "window", visible_alias = "after", value_name = "MONTH|FIRST..LAST")]
    pub(crate) after: Option<DayRange>,
    /// The act whose dates choose the windows
    #[arg(long, default_value = "US-BIS-2024-updates", value_name = "ID")]
    pub(crate) policy: PolicyId,
    /// Seed of the bootstrap
    #[arg(long = "bootstrap-seed", default_value_t = 2024)]
    pub(crate) seed: u64,
    /// Resamples of the bootstrap
    #[arg(
        long,
        default_value_t = 999,
        value_parser = clap::value_parser!(u32).range(199..)
    )]
    pub(crate) replicates: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Assess {
    #[command(flatten)]
    pub(crate) evidence: Evidence,
    #[command(flatten)]
    pub(crate) compared: Compared,
    /// What estimates are split by: country, sector, or both
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "country",
        value_name = "DIMENSION"
    )]
    pub(crate) by: Vec<Dimension>,
    /// Draws of doubtful attributions, from which the interval of attribution comes: 0 for
    /// none, else at least 2; each is a panel of its own
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) draws: u32,
    /// In a table, so many strata and so many figures of each kind; 0 for all. Other
    /// formats have all
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    pub(crate) top: usize,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Exposure {
    #[command(subcommand)]
    pub(crate) verb: Option<ExposureVerb>,
    /// Assets and suppliers: CSV with a header (`name`, and any of `id`, `kind`, `domains`,
    /// `prefixes`, `except`, `asn`, `organisations`, `sites`, `cloud_accounts`, `tags`,
    /// `tier`, `parent`, `contact`), or JSON
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) portfolio: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kept: Kept,
    #[command(flatten)]
    pub(crate) evidence: Evidence,
    /// First day [default: the first in the lake]
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<Day>,
    /// Last day [default: the last in the lake]
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<Day>,
    #[command(flatten)]
    pub(crate) detection: Detection,
    /// Only show; keep nothing in the ledger or the lake
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also write every form here: CSV, JSON, STIX, MISP, DefectDojo, ECS, OCSF, letters
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Who writes the letters and publishes the MISP event
    #[arg(long, default_value = "the security team", value_name = "NAME")]
    pub(crate) sender: String,
    /// Where answers to letters go
    #[arg(long, default_value = "", value_name = "ADDRESS")]
    pub(crate) reply_to: String,
}

/// How likely a user is seen; without it silence never becomes `verified_removed`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Detection {
    /// Chance, 0 to 1, that a user whose network is looked at for a whole week is seen in
    /// it; without it or --assessment silence never becomes `verified_removed`
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) detection: Option<f64>,
    /// That chance for each week and vantage, from the visibility curve of what `tidegauge
    /// assess --format json` wrote (the low ends of its intervals); once for each product
    #[arg(long, value_name = "FILE", conflicts_with = "detection")]
    pub(crate) assessment: Vec<PathBuf>,
}

/// Where findings are kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct Kept {
    /// The ledger of findings [default: LAKE.findings.jsonl]
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExposureVerb {
    /// Say something about a finding: a dispute, its end, or a note
    Say {
        /// Id of the finding
        finding: tidegauge_exposure::id::Id,
        /// `disputed`, `upheld`, `not_ours`, `ours` or `note`
        verdict: tidegauge_exposure::fact::Verdict,
        /// Who says it
        #[arg(long, value_name = "NAME")]
        who: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// From which day it holds [default: the last day that findings were told of]
        #[arg(long, value_name = "DATE")]
        on: Option<Day>,
        #[command(flatten)]
        kept: Kept,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Rule file: docs/reference/findings.md
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: PathBuf,
    /// Assets and suppliers, for their tiers and tags
    #[arg(long, value_name = "FILE")]
    pub(crate) portfolio: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kept: Kept,
    /// What was sent and what failed [default: the ledger's name with .deliveries.jsonl]
    #[arg(long, value_name = "FILE")]
    pub(crate) deliveries: Option<PathBuf>,
    /// Only what was told on this day or later
    #[arg(long, value_name = "DATE")]
    pub(crate) since: Option<Day>,
    /// Only check the rules and the environment
    #[arg(long)]
    pub(crate) check: bool,
    /// Only show what would be sent
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do it again after so many seconds, until interrupted [default: once]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) every: Option<std::num::NonZeroU64>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Where it is written
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) evidence: Evidence,
    #[command(flatten)]
    pub(crate) compared: Compared,
    /// The country of the headline and of the sector figure [default: that of the policy]
    #[arg(long)]
    pub(crate) focus: Option<Country>,
    /// Popularity of host names over time, for a figure of its own
    #[arg(long, value_name = "FILE")]
    pub(crate) rank_panel: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Serve {
    #[command(subcommand)]
    pub(crate) verb: Option<ServeVerb>,
    /// Where to listen; other machines need a token
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Let clients of `PostgreSQL` read here: psql, Grafana and others; other machines need a
    /// token, as the password, and TLS
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) postgres: Option<SocketAddr>,
    /// Where readers find the pages, for citations: `https://example.org`
    #[arg(long, value_name = "URL")]
    pub(crate) site: Option<String>,
    /// A site whose pages may ask the API; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// Those who may come in, by their tokens: see `tidegauge serve token`. Readers see what
    /// is public, analysts what is internal too
    #[arg(long, value_name = "FILE", conflicts_with = "internal")]
    pub(crate) tokens: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) findings: ShownFindings,
    /// Where it is recorded who saw what is internal [default: the log]
    #[arg(long, value_name = "FILE", requires = "tokens")]
    pub(crate) audit: Option<PathBuf>,
    /// Requests a minute that one address may make; 0 for no limit
    #[arg(long, default_value_t = 600, value_name = "N")]
    pub(crate) rate: u32,
    #[command(flatten)]
    pub(crate) evidence: Evidence,
    /// Serve HTTPS with this chain of certificates, in PEM, the server's own first; read
    /// anew when it is renewed
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServeVerb {
    /// Make a token, print it once and keep its digest
    Token(NewToken),
}

/// Which findings are shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct ShownFindings {
    /// Assets and suppliers, as for `tidegauge exposure`: analysts, or the operator with
    /// --internal, then see what it found of them
    #[arg(long, value_name = "FILE")]
    pub(crate) portfolio: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kept: Kept,
    /// Who publishes the MISP event of the findings
    #[arg(long, default_value = "the security team", value_name = "NAME")]
    pub(crate) sender: String,
}

#[derive(Debug, Args)]
pub(crate) struct NewToken {
    /// Whose it is: a person or a program
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What its holder may see
    #[arg(long, value_enum, value_name = "CLEARANCE")]
    pub(crate) clearance: Clearance,
    /// The file of digests; made if it is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Mcp {
    #[command(flatten)]
    pub(crate) findings: ShownFindings,
    #[command(flatten)]
    pub(crate) evidence: Evidence,
}

/// What the holder of a token may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Clearance {
    /// What everybody may see
    Reader,
    /// Internal cells and organisations too; each look is recorded
    Analyst,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Simulate {
    #[command(subcommand)]
    pub(crate) judged: Option<Judged>,
    /// Which world: one pair of published figures, six ways to come by it [default: a]
    #[arg(long, value_enum, ignore_case = true, conflicts_with = "params")]
    pub(crate) world: Option<WorldName>,
    /// Scale of the world: 1.0 is 22,000 organisations [default: 1, or the file's]
    #[arg(long, value_name = "SHARE")]
    pub(crate) organisations: Option<f64>,
    /// Share of consumer addresses that is simulated [default: 0.01, or the file's]
    #[arg(long, value_name = "SHARE")]
    pub(crate) eyeball: Option<f64>,
    /// Seed of everything random [default: the calibrated one, or the file's]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Parameters, as `--print-params` prints them; keys left out keep the values of the
    /// world that the file names
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,
    /// Print every parameter of a world as TOML, and do nothing else
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        value_name = "WORLD",
        conflicts_with_all = ["params", "world", "out"]
    )]
    pub(crate) print_params: Option<WorldName>,
    /// Where it is written
    #[arg(long, value_name = "DIR", required_unless_present = "print_params")]
    pub(crate) out: Option<PathBuf>,
}

/// What is done with a world that was simulated.
#[derive(Debug, Subcommand)]
pub(crate) enum Judged {
    /// Lay the truth of a world beside what an assessment said of it
    Score {
        /// The `truth` folder of the world
        #[arg(long, value_name = "DIR")]
        truth: PathBuf,
        /// What `tidegauge assess --format json` printed; `-` is standard input
        #[arg(long, value_name = "FILE")]
        assess: PathBuf,
    },
}

/// Names of worlds.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WorldName {
    /// People really leave; visibility stays as it was
    A,
    /// Devices are seen ever more seldom; few leave
    B,
    /// Sensor partners go dark for whole networks; few leave
    C,
    /// The vendor moves hosts to names nobody knows; few leave
    D,
    /// Nothing changes
    E,
    /// Half of the fall is people leaving, half is visibility
    F,
}

/// What was published.
#[derive(Debug, Subcommand)]
pub(crate) enum Releases {
    /// List every table of counts that a report showed
    List,
    /// Print one as it was published
    Show {
        /// As `list` names it
        id: String,
    },
    /// Ask the same question again: what the program, the catalog, the holders and telemetry
    /// that came later have changed
    Compare(ReleasesCompare),
    /// Withdraw some: what they hid no longer hides cells of later tables. They stay listed, and
    /// what they showed stays known
    Withdraw {
        /// As `list` names them; without the last number: all of a report
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// Which release is compared, and how.
#[derive(Debug, Args)]
pub(crate) struct ReleasesCompare {
    /// As `list` names it
    pub(crate) id: String,
    /// Also the figures that are today what they were
    #[arg(long)]
    pub(crate) all: bool,
    /// Lift the disclosure rule from what is said today: for the operator's eyes
    #[arg(long)]
    pub(crate) internal: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Lake {
    /// Say what is in it
    Stat,
    /// Look for damage: read every row of every table
    Check,
    /// Merge small files; old ones stay until `vacuum`
    Compact,
    /// Write what an older program wrote as this one does: sorted, with every column and with
    /// state; old files stay until `vacuum`
    Upgrade,
    /// Copy the newest version of every table to an empty folder or URL: a lake of its own
    Backup {
        /// Where to
        #[arg(value_name = "DIR|URL")]
        to: String,
    },
    /// Forget sightings and look-ups of blocks of addresses, of days that are over, or of both
    /// at once, in all files and in the log; older versions can then no longer be read
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Forget {
        /// A block, `192.0.2.0/24` or `2001:db8::/48`; may be repeated
        #[arg(long, value_name = "PREFIX", group = "what")]
        prefix: Vec<Prefix>,
        /// Days before this one
        #[arg(long, value_name = "DATE", group = "what")]
        before: Option<Day>,
    },
    /// Keep addresses for some months, then pseudonyms in their place, which stay countable
    /// and keep their holders; older versions can then no longer be read
    Retention(Retention),
    /// Make a file with a key for pseudonyms, or add a key to those that a file has
    Key {
        /// The file; whoever has it can find addresses among pseudonyms
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove files that the newest version does not name; older versions of the tables can
    /// then no longer be read
    Vacuum {
        /// Only files written before this day
        #[arg(long, value_name = "DATE")]
        before: Day,
    },
}

/// Which addresses are kept no longer, and what their pseudonyms are made with.
#[derive(Clone, Debug, Args)]
pub(crate) struct Retention {
    /// Keep addresses of this month and so many before it
    #[arg(
        long,
        value_name = "MONTHS",
        required_unless_present = "before",
        conflicts_with = "before"
    )]
    pub(crate) months: Option<u16>,
    /// Keep addresses from this day on
    #[arg(long, value_name = "DATE")]
    pub(crate) before: Option<Day>,
    /// The keys, of `lake key`
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Also where no table tells who holds an address
    #[arg(long)]
    pub(crate) without_holders: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Take counts from clients and hand their portions out to executors
    Scheduler {
        /// Where it listens
        #[arg(long, default_value = "127.0.0.1:50050", value_name = "ADDRESS:PORT")]
        listen: SocketAddr,
        /// The host that executors reach it by [default: the address it listens on]
        #[arg(long, value_name = "HOST")]
        advertise: Option<String>,
        /// Seconds for which an executor may say nothing until its work is given to others,
        /// and for which work waits where there is no executor
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        silence: u64,
    },
    /// Count what a scheduler hands out, in the lake and on the map of this machine
    Executor {
        /// The scheduler
        #[arg(
            long,
            default_value = "df://127.0.0.1:50050",
            value_name = "df://HOST:PORT"
        )]
        scheduler: String,
        /// The address it listens on
        #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
        bind: IpAddr,
        /// The host that scheduler and clients reach it by [default: the address it listens
        /// on]
        #[arg(long, value_name = "HOST")]
        advertise: Option<String>,
        /// The port that its rows are fetched from
        #[arg(long, default_value_t = 50_051, value_name = "PORT")]
        rows_port: u16,
        /// The port that it gets its work at
        #[arg(long, default_value_t = 50_052, value_name = "PORT")]
        work_port: u16,
        /// Portions counted at once [default: one a processor]
        #[arg(long, value_name = "NUMBER")]
        cores: Option<usize>,
        /// Where rows are kept until they are fetched [default: a temporary folder]
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Seconds between two signs of life
        #[arg(long, default_value_t = 10, value_name = "SECONDS")]
        heartbeat: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// The query
    pub(crate) query: String,
}

/// A share from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err("not from 0 to 1".to_owned())
    }
}

/// A name that can be that of a file: letters, digits, `-`, `_` and `.`, not first.
fn vantage_name(text: &str) -> Result<VantageId, String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
        return Err("a name has letters, digits, `-`, `_` and `.`".to_owned());
    }
    Ok(VantageId::new(text))
}

/// The defaults of the flags, for verbs that ask on a user's behalf.
#[derive(Debug, Parser)]
struct Defaults {
    #[command(flatten)]
    evidence: Evidence,
    #[command(flatten)]
    compared: Compared,
}

impl Default for Evidence {
    fn default() -> Self {
        Defaults::parse_from(["tidegauge"]).evidence
    }
}

impl Default for Compared {
    fn default() -> Self {
        Defaults::parse_from(["tidegauge"]).compared
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_flags() {
        let evidence = Evidence::default();
        assert_eq!(evidence.active_days, 2);
        assert_eq!(evidence.role, [Role::Update]);
        assert_eq!(Compared::default().replicates, 999);
    }
}
