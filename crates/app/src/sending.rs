//! Messages on their way: HTTP, syslog, mail.
//!
//! **Invariant:** a redirect is not followed, so that a signed message goes where the rules
//! say and nowhere else. Neither a secret nor the address of a chat is told.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use lettre::address::{Address, Envelope};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tidegauge_exposure::alert::rules::{
    Channel, MailServer, MailTls, Rules, To, url_mistake,
};
use tidegauge_exposure::alert::{Message, Outcome, Secret, webhook};
use tidegauge_model::Instant;

/// Longest that one attempt takes.
const TIMEOUT: Duration = Duration::from_secs(15);
/// What sends mail on this machine.
const SENDMAIL: &str = "sendmail";

/// How the channels of the rules are reached.
pub(crate) struct Senders {
    http: reqwest::Client,
    by_channel: BTreeMap<String, Sender>,
}

enum Sender {
    Webhook { url: String, secret: Secret },
    Chat { url: String },
    Syslog { address: SocketAddr },
    Mail,
    Relay(Box<Relay>),
}

/// A server that takes mail, and whom it is from and for: each gets a mail of their own, so that
/// one who is gone keeps it from nobody.
struct Relay {
    server: AsyncSmtpTransport<Tokio1Executor>,
    envelopes: Vec<Envelope>,
}

impl Senders {
    /// With the secrets of the environment; tells everything that is missing at once.
    pub(crate) fn new(
        rules: &Rules,
        environment: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let mut by_channel = BTreeMap::new();
        let mut missing = Vec::new();
        for channel in &rules.channels {
            match sender(channel, environment) {
                Ok(sender) => _ = by_channel.insert(channel.name.clone(), sender),
                Err(error) => {
                    missing.push(format!("channel `{}`: {error:#}", channel.name));
                }
            }
        }
        if !missing.is_empty() {
            bail!("{}", missing.join("\n"));
        }
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tidegauge/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("starting the HTTP client")?;
        Ok(Self { http, by_channel })
    }

    /// One attempt at `now`.
    pub(crate) async fn send(&self, message: &Message, now: Instant) -> Outcome {
        let sent = match self.by_channel.get(&message.channel) {
            Some(Sender::Webhook { url, secret }) => {
                self.webhook(url, secret, message, now).await
            }
            Some(Sender::Chat { url }) => self.post(url, message, &[]).await,
            Some(Sender::Syslog { address }) => syslog(*address, &message.body),
            Some(Sender::Mail) => mail(&message.body),
            Some(Sender::Relay(relay)) => relay.send(message).await,
            None => Ok(Outcome::Refused),
        };
        sent.unwrap_or_else(|error| {
            tracing::warn!("{}: {}: {error:#}", message.channel, message.title);
            Outcome::Failed
        })
    }

    async fn webhook(
        &self,
        url: &str,
        secret: &Secret,
        message: &Message,
        now: Instant,
    ) -> anyhow::Result<Outcome> {
        let key = message.key.to_string();
        let headers = webhook::headers(secret, &key, now, &message.body);
        self.post(url, message, &headers).await
    }

    async fn post(
        &self,
        url: &str,
        message: &Message,
        headers: &[(&'static str, String)],
    ) -> anyhow::Result<Outcome> {
        let mut request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(message.body.clone());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        // The address may be a secret, and the error would tell it.
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        let outcome = Outcome::of_status(status.as_u16());
        if outcome != Outcome::Sent {
            tracing::warn!("{}: {}: answered {status}", message.channel, message.title);
        }
        Ok(outcome)
    }
}

fn sender(
    channel: &Channel,
    environment: &BTreeMap<String, String>,
) -> anyhow::Result<Sender> {
    let variable = |name: &str| {
        let value = environment.get(name).map(|value| value.trim().to_owned());
        value
            .filter(|value| !value.is_empty())
            .with_context(|| format!("the environment has no {name}"))
    };
    Ok(match &channel.to {
        To::Webhook { url, secret_env } => {
            let secret = Secret::read(&variable(secret_env)?)
                .with_context(|| format!("the secret in {secret_env}"))?;
            Sender::Webhook { url: url.clone(), secret }
        }
        To::Slack { url_env } | To::Teams { url_env } => {
            let url = variable(url_env)?;
            if let Some(mistake) = url_mistake(&url) {
                bail!("{url_env}: {mistake}");
            }
            Sender::Chat { url }
        }
        To::Syslog { address, .. } => Sender::Syslog {
            address: address
                .parse()
                .with_context(|| format!("`{address}` is not ADDRESS:PORT"))?,
        },
        To::Mail { server: None, .. } => Sender::Mail,
        To::Mail { from, to, server: Some(server), login_env } => {
            let server = MailServer::read(server).map_err(anyhow::Error::msg)?;
            let login = login_env.as_deref().map(variable).transpose()?;
            Sender::Relay(Box::new(Relay::new(&server, login.as_deref(), from, to)?))
        }
    })
}

impl Relay {
    fn new(
        server: &MailServer,
        login: Option<&str>,
        from: &str,
        to: &[String],
    ) -> anyhow::Result<Self> {
        let wrapped = |host: &str| TlsParameters::new(host.to_owned());
        let tls = match server.tls {
            MailTls::Always => Tls::Wrapper(wrapped(&server.host)?),
            MailTls::Started => Tls::Required(wrapped(&server.host)?),
            MailTls::Never => Tls::None,
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
                .port(server.port)
                .tls(tls)
                .timeout(Some(TIMEOUT));
        if let Some(login) = login {
            let (name, password) =
                login.split_once(':').context("the login is not NAME:PASSWORD")?;
            let (name, password) = (name.to_owned(), password.to_owned());
            builder = builder.credentials(Credentials::new(name, password));
        }
        let from: Address = from.parse()?;
        let envelope = |to: &String| -> anyhow::Result<Envelope> {
            Ok(Envelope::new(Some(from.clone()), vec![to.parse()?])?)
        };
        let envelopes: anyhow::Result<Vec<Envelope>> =
            to.iter().map(envelope).collect();
        let builder = builder.hello_name(ClientId::Domain(from.domain().to_owned()));
        Ok(Self { server: builder.build(), envelopes: envelopes? })
    }

    /// To each recipient. It failed, and is tried again under the same id, if anybody's may yet
    /// come through; it was refused if it was for all.
    async fn send(&self, message: &Message) -> anyhow::Result<Outcome> {
        let (mut sent, mut failed) = (false, false);
        for envelope in &self.envelopes {
            let sending = self.server.send_raw(envelope, message.body.as_bytes());
            let why = match tokio::time::timeout(TIMEOUT, sending).await {
                Ok(Ok(_)) => {
                    sent = true;
                    continue;
                }
                Ok(Err(error)) => {
                    failed |= !error.is_permanent() || is_of_login(&error);
                    error.to_string()
                }
                Err(_) => {
                    failed = true;
                    format!("no answer in {} s", TIMEOUT.as_secs())
                }
            };
            tracing::warn!("{}: {}: {why}", message.channel, message.title);
        }
        Ok(match (failed, sent) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Sent,
            (false, false) => Outcome::Refused,
        })
    }
}

/// Whether a server refused the login, which the operator can mend (RFC 4954, 6).
fn is_of_login(error: &lettre::transport::smtp::Error) -> bool {
    let code = error.status().map(|code| code.to_string());
    code.is_some_and(|code| ["530", "534", "535", "538"].contains(&code.as_str()))
}

/// A datagram a line. Nothing says whether it came.
fn syslog(address: SocketAddr, lines: &str) -> anyhow::Result<Outcome> {
    let local: SocketAddr =
        if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 8], 0).into() };
    let socket = UdpSocket::bind(local).context("opening a socket")?;
    for line in lines.lines() {
        socket
            .send_to(line.as_bytes(), address)
            .with_context(|| format!("sending to {address}"))?;
    }
    Ok(Outcome::Sent)
}

/// Gives it to the machine's own mailer, which queues it and tries again by itself.
fn mail(text: &str) -> anyhow::Result<Outcome> {
    let mut mailer = Command::new(SENDMAIL)
        .args(["-t", "-i"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| {
            format!("starting {SENDMAIL} (hint: is a mailer installed?)")
        })?;
    let input = mailer.stdin.take().context("the mailer takes no input")?;
    let written = { input }.write_all(text.replace("\r\n", "\n").as_bytes());
    let ended = mailer.wait().context("waiting for the mailer")?;
    written.context("giving the mail to the mailer")?;
    Ok(if ended.success() { Outcome::Sent } else { Outcome::Failed })
}
