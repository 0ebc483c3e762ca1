//! One look-up, as a flow of the client that asked or as a resolution by nobody known.
//!
//! **Invariant:** a look-up is one or the other. One that has a client does not use the
//! network that EDNS tells: a forwarder may tell one that is not the client's.

use std::num::NonZeroU32;

use tidegauge_model::{
    Address, Flow, Instant, Prefix, Protocol, Resolution, ServerName,
};

use super::DNS_PORT;
use crate::Sink;

/// What is known of a look-up beside the name.
#[derive(Clone, Debug)]
pub(crate) struct LookUp {
    /// Who asked, if it is a client.
    pub(crate) client: Option<Address>,
    /// Port of the client; 0 if unknown.
    pub(crate) client_port: u16,
    /// Who was asked.
    pub(crate) server: Option<Address>,
    /// Port of the server.
    pub(crate) server_port: Option<u16>,
    /// How it was asked.
    pub(crate) protocol: Protocol,
    /// When.
    pub(crate) at: Instant,
    /// The network that EDNS client subnet tells.
    pub(crate) network: Option<Prefix>,
    /// The addresses answered, if told.
    pub(crate) addresses: Vec<Address>,
    /// The exporter of the record.
    pub(crate) exporter: Option<Address>,
}

impl LookUp {
    /// Tells the look-up of each name.
    pub(crate) fn tell(
        self,
        names: impl IntoIterator<Item = ServerName>,
        sink: &mut dyn Sink,
    ) {
        for name in names {
            match self.client {
                Some(client) => sink.flow(self.flow(client, name)),
                None => sink.resolution(Resolution {
                    host: name.host,
                    client: self.network,
                    addresses: self.addresses.clone(),
                    first: self.at,
                    last: self.at,
                    count: 1,
                }),
            }
        }
    }

    fn flow(&self, originator: Address, name: ServerName) -> Flow {
        Flow {
            originator,
            responder: self.server.unwrap_or_else(|| unspecified(originator)),
            originator_port: self.client_port,
            responder_port: self.server_port.unwrap_or(DNS_PORT),
            protocol: self.protocol,
            start: self.at,
            end: self.at,
            sent: None,
            received: None,
            tcp_flags: None,
            sampling: NonZeroU32::MIN,
            name: Some(name),
            exporter: self.exporter,
        }
    }
}

/// The address that says that there is none (RFC 4291, 2.5.2): many servers do not log their
/// own. Nothing is read from the responder of a DNS question.
fn unspecified(like: Address) -> Address {
    if like.is_v4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    }
}
