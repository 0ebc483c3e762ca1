//! The client: submits a plan, and fetches its rows from the executors.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ballista_core::config::BALLISTA_CLIENT_GRPC_HTTP2_KEEPALIVE_INTERVAL_SECONDS;
use ballista_core::execution_plans::execute_physical_plan;
use ballista_core::extension::SessionConfigExt;
use ballista_core::ids::new_instance_id;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::TryStreamExt;
use tidegauge_census::Planned;
use tidegauge_model::count::Census;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::codec::Codec;
use crate::{Error, Result};

/// Portions that a count is cut into, unless it is small: some machines of some processors
/// each have something to do, and what one loses is little.
pub const PORTIONS: usize = 16;

/// How an address begins.
const SCHEME: &str = "df://";
/// How long a scheduler may take to answer a knock.
const REACH: Duration = Duration::from_secs(10);
/// Seconds for which a question waits where there is no executor: some start or come back
/// within that.
const DESERTED_SECONDS: u32 = 30;
/// Seconds between two looks whether a scheduler is still there that says nothing: a machine
/// that is switched off closes no connection.
const ALIVE_SECONDS: &str = "10";

/// Where a scheduler is: `df://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The host, a name or an address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Fails if nothing listens there.
    pub(crate) async fn reach(&self) -> Result<()> {
        let told = |said| Error::Unreachable { address: self.to_string(), said };
        self.connect().await.map(drop).map_err(told)
    }

    /// Whether the scheduler says, as it does to probes, that it has an executor.
    async fn is_ready(&self) -> std::io::Result<bool> {
        let mut scheduler = self.connect().await?;
        scheduler.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await?;
        let mut answer = [0; b"HTTP/1.0 200".len()];
        scheduler.read_exact(&mut answer).await?;
        Ok(answer.ends_with(b" 200"))
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let knock = TcpStream::connect((self.host.trim_matches(['[', ']']), self.port));
        let knocked = tokio::time::timeout(REACH, knock).await;
        knocked.unwrap_or_else(|late| Err(late.into()))
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::Address { text: text.to_owned() };
        let rest = text.strip_prefix(SCHEME).ok_or_else(bad)?;
        let (host, port) =
            rest.trim_end_matches('/').rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let plain =
            host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let v6 = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || !(plain || v6) {
            return Err(bad());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}:{}", self.host, self.port)
    }
}

/// Counts what was planned on the cluster at `address`.
pub async fn census(address: &Address, planned: &Planned) -> Result<Census> {
    address.reach().await?;
    let alive = BALLISTA_CLIENT_GRPC_HTTP2_KEEPALIVE_INTERVAL_SECONDS;
    let config = SessionConfig::new_with_ballista().set_str(alive, ALIVE_SECONDS);
    let failed = |error: DataFusionError| {
        let (address, printed) = (address.to_string(), error.to_string());
        match tidegauge_census::said(&printed) {
            Some(said) => Error::Refused { address, said },
            None => Error::Failed { address, reason: printed },
        }
    };
    let (settings, codec) = (config.ballista_config(), Codec::new(None));
    let rows = execute_physical_plan::<PhysicalPlanNode>(
        format!("http://{}:{}", address.host, address.port),
        &settings,
        planned.plan(),
        &codec,
        new_instance_id(),
        config,
    );
    let rows = async { rows.await?.try_collect::<Vec<_>>().await };
    let rows = tokio::select! {
        rows = rows => rows.map_err(failed)?,
        () = deserted(address) => {
            let (address, seconds) = (address.to_string(), DESERTED_SECONDS);
            return Err(Error::Deserted { address, seconds });
        }
    };
    Ok(planned.census(&rows)?)
}

/// Ends when the scheduler has had no executor for a while. It keeps a question until one
/// comes, for ever.
async fn deserted(address: &Address) {
    let mut look = tokio::time::interval(Duration::from_secs(1));
    let mut seconds = 0;
    while seconds < DESERTED_SECONDS {
        look.tick().await;
        // Where the scheduler itself does not answer, the question will say so.
        let alone = matches!(address.is_ready().await, Ok(false));
        seconds = if alone { seconds + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in ["df://localhost:50050", "df://10.1.2.3:1", "df://[::1]:50050"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["localhost:50050", "df://localhost", "df://:1", "df://a/b:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
