//! TLS: certificate and key, and a listener that hands on connections whose handshake is done.
//!
//! **Invariant:** a handshake under way keeps no other connection waiting, takes no longer
//! than [`HANDSHAKE`], and there are never more than [`HANDSHAKES_MAX`]. A certificate that
//! was renewed on disk is used from the next connection on; one that cannot be read is told,
//! and the one before it stays.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes under way, and connections that wait to be served after it.
const HANDSHAKES_MAX: usize = 256;
/// How long nothing is accepted after the system refused to: it has no more files to give.
const PAUSE: Duration = Duration::from_millis(100);

/// What is spoken after the handshake, by its registered name.
const HTTP: &[u8] = b"http/1.1";
#[cfg(feature = "postgres")]
pub(super) const POSTGRESQL: &[u8] = b"postgresql";

/// Where certificate and key are, in PEM.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// A listener for HTTPS.
pub(super) struct TlsListener {
    ready: Receiver<Connection>,
    local: SocketAddr,
}

/// A connection that can be served, and who is at its other end.
type Connection = (TlsStream<TcpStream>, SocketAddr);

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(SocketAddr);

impl TlsListener {
    /// Listens with the certificate in `files`. Fails if it cannot be read or used.
    pub(super) fn new(listener: TcpListener, files: Files) -> anyhow::Result<Self> {
        let local = listener.local_addr()?;
        let keys = Keys::read(files, HTTP)?;
        let (give, ready) = channel(HANDSHAKES_MAX);
        tokio::spawn(accept(listener, keys, give));
        Ok(Self { ready, local })
    }
}

/// Accepts connections until nobody wants them any more.
async fn accept(listener: TcpListener, mut keys: Keys, give: Sender<Connection>) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let (stream, from) = tokio::select! {
            accepted = accepted(&listener) => accepted,
            () = give.closed() => return,
        };
        let (acceptor, give) = (keys.acceptor(), give.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            // Whoever does not speak TLS is no news: scanners come all day.
            if let Ok(Ok(stream)) = shaken {
                drop(give.send((stream, from)).await);
            }
            drop(place);
        });
    }
}

/// The next connection; waits while the system gives none.
pub(super) async fn accepted(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // Accepting ends with the listener, never before it.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.local)
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// The pages, told who asks in the way they are told without TLS.
pub(super) fn told_who_asks(app: Router) -> Router {
    app.layer(from_fn(|mut request: Request, next: Next| async move {
        let peer = request.extensions().get::<ConnectInfo<Peer>>().copied();
        if let Some(ConnectInfo(Peer(address))) = peer {
            request.extensions_mut().insert(ConnectInfo(address));
        }
        let response: Response = next.run(request).await;
        response
    }))
}

/// Certificate and key as they were read.
pub(super) struct Keys {
    files: Files,
    protocol: &'static [u8],
    written: [Option<SystemTime>; 2],
    acceptor: TlsAcceptor,
}

impl Keys {
    /// For connections that speak `protocol` (RFC 7301). Fails if a file cannot be read or
    /// used.
    pub(super) fn read(files: Files, protocol: &'static [u8]) -> anyhow::Result<Self> {
        let written = files.written();
        let acceptor = files.acceptor(protocol)?;
        Ok(Self { files, protocol, written, acceptor })
    }

    /// The acceptor, read anew if a file was written since.
    pub(super) fn acceptor(&mut self) -> TlsAcceptor {
        let written = self.files.written();
        if written != self.written {
            self.written = written;
            match self.files.acceptor(self.protocol) {
                Ok(acceptor) => {
                    tracing::info!("the certificate was renewed");
                    self.acceptor = acceptor;
                }
                Err(error) => {
                    tracing::error!("the certificate before stays: {error:#}");
                }
            }
        }
        self.acceptor.clone()
    }
}

impl Files {
    fn written(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key]
            .map(|file| file.metadata().and_then(|m| m.modified()).ok())
    }

    fn acceptor(&self, protocol: &[u8]) -> anyhow::Result<TlsAcceptor> {
        let named = |path: &Path| format!("{} (PEM is wanted)", path.display());
        let certificates = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| named(&self.certificate))?;
        anyhow::ensure!(
            !certificates.is_empty(),
            "{} has no certificate (hint: the chain, the server's own first, in PEM)",
            self.certificate.display()
        );
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| named(&self.key))?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(certificates, key)
                .with_context(|| {
                    format!(
                        "{} and {} do not go together",
                        self.certificate.display(),
                        self.key.display()
                    )
                })?;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
