//! Datagrams, many with one system call.
//!
//! **Invariant:** every datagram that the kernel gives is handed over or counted as dropped,
//! by its exporter; what the kernel itself dropped is what it says (`SO_RXQ_OVFL`).

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use anyhow::Context;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, getsockopt, recvmmsg,
    setsockopt, sockopt,
};
use tidegauge_model::{Address, Instant};

use super::metrics::Metrics;
use super::{Message, STOP_LOOK};
use crate::clock;

/// Datagrams taken with one system call.
const DATAGRAMS_PER_CALL: usize = 64;
/// The longest datagram kept whole, in bytes: exporters stay within one frame, jumbo ones
/// included. Longer ones are cut by the kernel and end as a loss.
const DATAGRAM_BYTES_MAX: usize = 9_216;
/// Bytes of datagrams that are handed over together.
pub(super) const BATCH_BYTES_MAX: usize = 512 * 1024;

/// Datagrams that were received together.
pub(super) struct Batch {
    pub(super) received: Instant,
    pub(super) bytes: Vec<u8>,
    pub(super) datagrams: Vec<Datagram>,
    /// How many datagrams of each exporter found no room since the last batch.
    pub(super) dropped: HashMap<Address, u64>,
    /// How many the kernel dropped since the last batch; it does not tell whose.
    pub(super) dropped_by_kernel: u64,
}

/// One datagram of a batch.
pub(super) struct Datagram {
    pub(super) exporter: Address,
    pub(super) port: u16,
    /// Where it lies in the bytes of the batch.
    pub(super) at: Range<usize>,
}

/// A socket that is bound.
pub(super) struct Socket {
    socket: UdpSocket,
    address: SocketAddr,
    receive_buffer_bytes: usize,
}

impl Socket {
    pub(super) fn open(
        address: SocketAddr,
        receive_buffer_bytes: usize,
    ) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind(address)
            .with_context(|| format!("listening on udp://{address}"))?;
        socket.set_read_timeout(Some(STOP_LOOK))?;
        setsockopt(&socket, sockopt::RcvBuf, &receive_buffer_bytes)?;
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        // The kernel doubles what is asked for, for its own use.
        let granted = getsockopt(&socket, sockopt::RcvBuf)? / 2;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, receive_buffer_bytes: granted })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the kernel gave.
    pub(super) fn receive_buffer_bytes(&self) -> usize {
        self.receive_buffer_bytes
    }

    /// Receives until it is told to stop.
    pub(super) fn receive(
        &self,
        to_decoder: &SyncSender<Message>,
        metrics: &Metrics,
        stop: &AtomicBool,
    ) {
        let name = format!("udp://{}", self.address);
        let mut room = vec![0; DATAGRAMS_PER_CALL * DATAGRAM_BYTES_MAX];
        let mut receiving = Receiving::new();
        while !stop.load(Ordering::Relaxed) {
            // Empties the socket as far as one batch goes, so that batches are large when
            // there is much to do, and prompt when there is little.
            let mut flags = MsgFlags::MSG_WAITFORONE;
            while receiving.batch.bytes.len() < BATCH_BYTES_MAX {
                match receiving.call(&self.socket, &mut room, flags) {
                    Ok(DATAGRAMS_PER_CALL) => flags |= MsgFlags::MSG_DONTWAIT,
                    Ok(_) => break,
                    Err(nix::Error::EAGAIN | nix::Error::EINTR) => break,
                    Err(error) => {
                        tracing::error!("{name}: receiving: {error}");
                        break;
                    }
                }
            }
            if receiving.is_empty() {
                continue;
            }
            if !receiving.hand_over(&name, to_decoder, metrics) {
                return;
            }
        }
    }
}

/// What is being received.
struct Receiving {
    batch: Batch,
    /// The kernel's count of what it dropped, since the socket was opened.
    overflow: u32,
}

impl Receiving {
    fn new() -> Self {
        Self { batch: Batch::empty(), overflow: 0 }
    }

    fn is_empty(&self) -> bool {
        self.batch.datagrams.is_empty() && self.batch.dropped_by_kernel == 0
    }

    /// One system call; how many datagrams it gave.
    fn call(
        &mut self,
        socket: &UdpSocket,
        room: &mut [u8],
        flags: MsgFlags,
    ) -> nix::Result<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = room
            .chunks_exact_mut(DATAGRAM_BYTES_MAX)
            .map(|chunk| [IoSliceMut::new(chunk)])
            .collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(
            DATAGRAMS_PER_CALL,
            Some(nix::cmsg_space!(u32)),
        );
        let received =
            recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
        let mut count = 0;
        for message in received {
            count += 1;
            for told in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(total) = told {
                    let more = total.wrapping_sub(self.overflow);
                    self.batch.dropped_by_kernel += u64::from(more);
                    self.overflow = total;
                }
            }
            let Some((exporter, port)) = message.address.and_then(|a| sender(&a))
            else {
                continue;
            };
            let start = self.batch.bytes.len();
            for part in message.iovs() {
                self.batch.bytes.extend_from_slice(part);
            }
            let at = start..self.batch.bytes.len();
            self.batch.datagrams.push(Datagram { exporter, port, at });
        }
        Ok(count)
    }

    /// Gives the batch to the decoder, or counts it as dropped. False if nobody is there.
    fn hand_over(
        &mut self,
        name: &str,
        to_decoder: &SyncSender<Message>,
        metrics: &Metrics,
    ) -> bool {
        let mut batch = std::mem::replace(&mut self.batch, Batch::empty());
        batch.received = clock::now();
        metrics.received(name, batch.datagrams.len(), batch.dropped_by_kernel);
        match to_decoder.try_send(Message::Datagrams(batch)) {
            Ok(()) => true,
            Err(TrySendError::Full(Message::Datagrams(batch))) => {
                metrics.queue_full(name, batch.datagrams.len());
                self.batch.dropped = batch.dropped;
                self.batch.dropped_by_kernel = batch.dropped_by_kernel;
                for datagram in &batch.datagrams {
                    *self.batch.dropped.entry(datagram.exporter).or_default() += 1;
                }
                true
            }
            Err(_) => false,
        }
    }
}

impl Batch {
    fn empty() -> Self {
        Self {
            received: Instant(0),
            bytes: Vec::new(),
            datagrams: Vec::new(),
            dropped: HashMap::new(),
            dropped_by_kernel: 0,
        }
    }
}

/// Who sent it; an IPv4 address mapped into IPv6 is that IPv4 address.
fn sender(storage: &SockaddrStorage) -> Option<(Address, u16)> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some((v4.ip().into(), v4.port()));
    }
    let v6 = storage.as_sockaddr_in6()?;
    Some((v6.ip().into(), v6.port()))
}
