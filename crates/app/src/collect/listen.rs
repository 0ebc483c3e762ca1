//! Where the collector listens: `udp://ADDRESS:PORT`, `tcp://ADDRESS:PORT`, `unix:///PATH`.
//!
//! **Invariant:** UDP is for NetFlow, IPFIX and sFlow, told apart by their content; streams
//! are for dnstap.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// NetFlow, IPFIX, sFlow.
    Udp(SocketAddr),
    /// dnstap.
    Tcp(SocketAddr),
    /// dnstap.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = |rest: &str| {
            rest.parse().map_err(|_| {
                format!(
                    "`{rest}` is not ADDRESS:PORT, such as 0.0.0.0:2055 or [::]:2055"
                )
            })
        };
        match text.split_once("://") {
            Some(("udp", rest)) => address(rest).map(Self::Udp),
            Some(("tcp", rest)) => address(rest).map(Self::Tcp),
            Some(("unix", path)) if path.starts_with('/') => {
                Ok(Self::Unix(PathBuf::from(path)))
            }
            _ => Err(format!(
                "`{text}` is none of udp://ADDRESS:PORT, tcp://ADDRESS:PORT, unix:///PATH"
            )),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_written_as_it_is_read() {
        for text in
            ["udp://0.0.0.0:2055", "tcp://[::1]:6000", "unix:///run/dnstap.sock"]
        {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in ["udp://localhost", "2055", "unix://relative", "http://[::]:1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
