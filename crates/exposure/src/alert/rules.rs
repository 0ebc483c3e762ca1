//! The rule file: channels, and who is told what on them.
//!
//! **Invariant:** unknown keys are refused and every mistake is told at once. No secret
//! stands in the file: it names the variable of the environment that has it.

use std::collections::BTreeSet;

use serde::Deserialize;
use tidegauge_model::finding::FindingState;
use tidegauge_model::{ProductId, Signal};

use crate::dossier::Dossier;
use crate::portfolio::Kind;

/// Version of the file's shape.
pub const SCHEMA_VERSION: u32 = 1;

/// The file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Version of the shape.
    pub schema_version: u32,
    /// Where messages go.
    #[serde(default, rename = "channel")]
    pub channels: Vec<Channel>,
    /// Who is told what.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct Channel {
    /// Its name, for rules.
    pub name: String,
    /// How it is reached.
    pub to: To,
}

/// Its name stands among the keys of its kind, and unknown ones are refused all the same.
impl TryFrom<toml::Table> for Channel {
    type Error = toml::de::Error;

    fn try_from(mut keys: toml::Table) -> Result<Self, toml::de::Error> {
        let name = keys.remove("name").unwrap_or_else(|| String::new().into());
        Ok(Self { name: name.try_into()?, to: keys.try_into()? })
    }
}

/// How a channel is reached.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum To {
    /// A signed POST of JSON.
    Webhook {
        /// Where.
        url: String,
        /// The variable that has the secret.
        secret_env: String,
    },
    /// A Slack incoming webhook; its address is a secret.
    Slack {
        /// The variable that has the address.
        url_env: String,
    },
    /// A Teams workflow; its address is a secret.
    Teams {
        /// The variable that has the address.
        url_env: String,
    },
    /// RFC 5424 lines, one datagram each.
    Syslog {
        /// `ADDRESS:PORT`, over UDP.
        address: String,
        /// Facility, 0 to 23.
        #[serde(default = "local0")]
        facility: u8,
        /// Name of this host.
        #[serde(default)]
        host: Option<String>,
    },
    /// A mail, given to a server, or to the machine's `sendmail`.
    Mail {
        /// Sender.
        from: String,
        /// Recipients.
        to: Vec<String>,
        /// The server: `smtps://HOST` (port 465), or `smtp://HOST` (587), which must then speak
        /// TLS (STARTTLS) unless it is this machine; without one, `sendmail`.
        #[serde(default)]
        server: Option<String>,
        /// The variable that has `NAME:PASSWORD` for the server.
        #[serde(default)]
        login_env: Option<String>,
    },
}

/// `local0` (RFC 5424, 6.2.1).
fn local0() -> u8 {
    16
}

/// Who is told what.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it tells.
    pub on: Vec<On>,
    /// On which channels.
    pub channels: Vec<String>,
    /// Only these products; empty for all.
    #[serde(default)]
    pub products: Vec<ProductId>,
    /// Only these kinds of rows; empty for all.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Only rows with one of these tags; empty for all.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Only rows of this tier or a weightier one.
    #[serde(default)]
    pub tier_max: Option<u8>,
    /// Only from this confidence.
    #[serde(default)]
    pub confidence_min: f64,
    /// Only from this signal.
    #[serde(default = "weakest")]
    pub signal_min: Signal,
    /// One message for all that is new, instead of one for each.
    #[serde(default)]
    pub digest: bool,
}

fn weakest() -> Signal {
    Signal::Resolved
}

/// What a rule tells: a finding came into a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Open, for the first time or after a dispute.
    New,
    /// Seen again.
    Reappeared,
    /// Quiet.
    Quiet,
    /// Shown to be gone.
    VerifiedRemoved,
    /// Disputed.
    Disputed,
    /// Decided not to be the row's.
    NotOurs,
}

impl On {
    /// Of a state; `None` for those that are no state of a finding.
    pub fn of(state: FindingState) -> Option<Self> {
        match state {
            FindingState::Open => Some(Self::New),
            FindingState::Reappeared => Some(Self::Reappeared),
            FindingState::Quiet => Some(Self::Quiet),
            FindingState::VerifiedRemoved => Some(Self::VerifiedRemoved),
            FindingState::Disputed => Some(Self::Disputed),
            FindingState::NotOurs => Some(Self::NotOurs),
            FindingState::NotSeen
            | FindingState::NotVisible
            | FindingState::NotCheckable => None,
        }
    }

    /// The word in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Reappeared => "reappeared",
            Self::Quiet => "quiet",
            Self::VerifiedRemoved => "verified_removed",
            Self::Disputed => "disputed",
            Self::NotOurs => "not_ours",
        }
    }
}

/// A rule file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not TOML of this shape.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// It reads, and says what cannot be.
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
}

impl Rules {
    /// Reads and checks a file.
    pub fn read(text: &str) -> Result<Self, RulesError> {
        let rules: Self = toml::from_str(text)?;
        let mistakes = rules.mistakes();
        if mistakes.is_empty() {
            Ok(rules)
        } else {
            Err(RulesError::Mistakes(mistakes))
        }
    }

    /// The variables of the environment that the channels need.
    pub fn variables(&self) -> BTreeSet<&str> {
        self.channels.iter().filter_map(|channel| channel.to.variable()).collect()
    }

    /// Everything that is wrong.
    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.schema_version != SCHEMA_VERSION {
            mistakes.push(format!(
                "schema_version is {}; this program reads {SCHEMA_VERSION}",
                self.schema_version
            ));
        }
        let mut names = BTreeSet::new();
        for channel in &self.channels {
            if channel.name.is_empty() {
                mistakes.push("a channel has no name".to_owned());
            } else if !names.insert(channel.name.as_str()) {
                mistakes.push(format!("two channels are called `{}`", channel.name));
            }
            if let Some(mistake) = channel.to.mistake() {
                mistakes.push(format!("channel `{}`: {mistake}", channel.name));
            }
        }
        let mut rules = BTreeSet::new();
        for rule in &self.rules {
            if !rules.insert(rule.name.as_str()) {
                mistakes.push(format!("two rules are called `{}`", rule.name));
            }
            let of_rule = rule.mistakes(&names);
            mistakes
                .extend(of_rule.iter().map(|m| format!("rule `{}`: {m}", rule.name)));
        }
        mistakes
    }
}

impl To {
    fn variable(&self) -> Option<&str> {
        match self {
            Self::Webhook { secret_env: name, .. }
            | Self::Slack { url_env: name }
            | Self::Teams { url_env: name } => Some(name),
            Self::Mail { login_env, .. } => login_env.as_deref(),
            Self::Syslog { .. } => None,
        }
    }

    fn mistake(&self) -> Option<String> {
        if self.variable().is_some_and(str::is_empty) {
            return Some("the name of the variable is empty".to_owned());
        }
        match self {
            Self::Webhook { url, .. } => url_mistake(url),
            Self::Slack { .. } | Self::Teams { .. } => None,
            Self::Syslog { address, facility, host } => {
                let named = host.as_deref().unwrap_or("-");
                if address.parse::<std::net::SocketAddr>().is_err() {
                    Some(format!("`{address}` is not ADDRESS:PORT"))
                } else if *facility > 23 {
                    Some(format!("facility {facility} is over 23"))
                } else if named.is_empty()
                    || !named.bytes().all(|b| b.is_ascii_graphic())
                {
                    Some(format!("`{named}` is not the name of a host"))
                } else {
                    None
                }
            }
            Self::Mail { from, to, server, login_env } => {
                let all = || to.iter().chain([from]);
                let server = server.as_deref();
                match all().find(|a| !is_mailbox(a)) {
                    Some(bad) => Some(format!("`{bad}` is not name@domain")),
                    None if to.is_empty() => Some("it has no recipient".to_owned()),
                    None if server.is_none() && login_env.is_some() => {
                        Some("login_env is for a server, and there is none".to_owned())
                    }
                    None => server.and_then(|s| MailServer::read(s).err()),
                }
            }
        }
    }
}

/// Findings are nobody else's, so they travel encrypted, or not beyond this machine.
pub fn url_mistake(url: &str) -> Option<String> {
    let clean = url.bytes().all(|b| b.is_ascii_graphic());
    let loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let local = loopback.iter().any(|start| {
        url.strip_prefix(start).is_some_and(|rest| rest.starts_with([':', '/']))
    });
    let secure = url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
    // The address itself may be a secret, so it is not told.
    (!clean || !(secure || local)).then(|| {
        "the address must be https://…, or http:// on this machine alone".to_owned()
    })
}

/// A server that takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is spoken with.
    pub tls: MailTls,
}

/// How a mail server is spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// By TLS from the first byte (RFC 8314, 3.3).
    Always,
    /// By TLS before anything is said of a mail; without it nothing is sent (RFC 3207).
    Started,
    /// In the clear: this machine alone.
    Never,
}

impl MailServer {
    /// Reads `smtps://HOST[:PORT]` or `smtp://HOST[:PORT]`; why not, in words.
    pub fn read(url: &str) -> Result<Self, String> {
        let wrong = || format!("`{url}` is not smtps://HOST:PORT or smtp://HOST:PORT");
        let (scheme, place) = url.split_once("://").ok_or_else(wrong)?;
        let (tls, usual) = match scheme {
            "smtps" => (MailTls::Always, 465),
            "smtp" => (MailTls::Started, 587),
            _ => return Err(wrong()),
        };
        // A colon of an address of version 6 stands in brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (place, usual),
        };
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let (host, more) = inside.map_or((host, &b"-._"[..]), |host| (host, b":."));
        let plain = |b: u8| b.is_ascii_alphanumeric() || more.contains(&b);
        if host.is_empty() || port == 0 || !host.bytes().all(plain) {
            return Err(wrong());
        }
        let here = ["127.0.0.1", "::1", "localhost"].contains(&host);
        let tls = match tls {
            MailTls::Started if here => MailTls::Never,
            tls => tls,
        };
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

/// A bare address of ASCII, so that nothing of it can break a header.
fn is_mailbox(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !b"<>(),;:\\\"[]".contains(&b);
    match text.split_once('@') {
        Some((name, domain)) => {
            !name.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && text.bytes().all(plain)
        }
        None => false,
    }
}

impl Rule {
    fn mistakes(&self, channels: &BTreeSet<&str>) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.on.is_empty() || self.channels.is_empty() {
            mistakes.push("it tells nothing, or nobody".to_owned());
        }
        for channel in &self.channels {
            if !channels.contains(channel.as_str()) {
                mistakes.push(format!("there is no channel `{channel}`"));
            }
        }
        if !(0.0..=1.0).contains(&self.confidence_min) {
            mistakes
                .push(format!("confidence_min is {}, not 0 to 1", self.confidence_min));
        }
        mistakes
    }

    /// Whether it tells that `dossier` came into a state.
    pub fn takes(&self, dossier: &Dossier, on: On) -> bool {
        let any = |list: &[String], has: &[String]| {
            list.is_empty() || list.iter().any(|word| has.contains(word))
        };
        let strongest = dossier.evidence.first().map(|sight| sight.signal);
        let tier = self
            .tier_max
            .is_none_or(|max| dossier.subject.tier.is_some_and(|tier| tier <= max));
        // Confidence falls as findings go quiet, so it says nothing about the end of one.
        let sure = !matches!(on, On::New | On::Reappeared)
            || dossier.life.confidence.value() >= self.confidence_min;
        self.on.contains(&on)
            && (self.products.is_empty() || self.products.contains(&dossier.product))
            && (self.kinds.is_empty() || self.kinds.contains(&dossier.subject.kind))
            && any(&self.tags, &dossier.subject.tags)
            && tier
            && sure
            && strongest >= Some(self.signal_min)
    }
}
