//! Datagrams, many with one system call.
//!
//! **Invariant:** every datagram that the kernel gives is handed over or counted as dropped,
//! by its exporter; what the kernel itself dropped is what it says (`SO_RXQ_OVFL`). While the
//! decoder is behind, a batch grows to [`BATCH_BYTES_MAX`] before anything is dropped, so that
//! many small datagrams do not fill a queue that has room for their bytes.

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
/// Bytes of datagrams after which a batch takes no more; one call may take it beyond by
/// [`DATAGRAMS_PER_CALL`] × [`DATAGRAM_BYTES_MAX`].
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
    bound: UdpSocket,
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
        // Beyond net.core.rmem_max only for who may administer the network.
        if setsockopt(&socket, sockopt::RcvBufForce, &receive_buffer_bytes).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &receive_buffer_bytes)?;
        }
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        // The kernel doubles what is asked for, for its own use.
        let granted = getsockopt(&socket, sockopt::RcvBuf)? / 2;
        let address = socket.local_addr()?;
        Ok(Self { bound: socket, address, receive_buffer_bytes: granted })
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
            receiving.fill(&self.bound, &mut room, MsgFlags::MSG_WAITFORONE, &name);
            if !receiving.is_empty() && !receiving.hand_over(&name, to_decoder, metrics)
            {
                return;
            }
        }
        // What had come when it was told to stop.
        receiving.fill(&self.bound, &mut room, MsgFlags::MSG_DONTWAIT, &name);
        if !receiving.is_empty() {
            let batch = receiving.take(&name, metrics);
            if to_decoder.send(Message::Datagrams(batch)).is_err() {
                tracing::error!("{name}: nobody decodes any more");
            }
        }
    }
}

/// What is being received.
struct Receiving {
    batch: Batch,
    /// The kernel's count of what it dropped, since the socket was opened.
    overflow: u32,
    /// How many datagrams of the batch the metrics know.
    told: usize,
    /// How many of those that the kernel dropped the metrics know.
    told_of_kernel: u64,
}

impl Receiving {
    fn new() -> Self {
        Self { batch: Batch::empty(), overflow: 0, told: 0, told_of_kernel: 0 }
    }

    fn is_empty(&self) -> bool {
        self.batch.datagrams.is_empty()
            && self.batch.dropped.is_empty()
            && self.batch.dropped_by_kernel == 0
    }

    /// Empties the socket as far as one batch goes, so that batches are large when there is
    /// much to do, and prompt when there is little.
    fn fill(
        &mut self,
        socket: &UdpSocket,
        room: &mut [u8],
        mut flags: MsgFlags,
        name: &str,
    ) {
        while self.batch.bytes.len() < BATCH_BYTES_MAX {
            match self.call(socket, room, flags) {
                Ok(DATAGRAMS_PER_CALL) => flags |= MsgFlags::MSG_DONTWAIT,
                Ok(_) | Err(nix::Error::EAGAIN | nix::Error::EINTR) => break,
                Err(error) => {
                    tracing::error!("{name}: receiving: {error}");
                    break;
                }
            }
        }
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

    /// The batch, stamped and told to the metrics.
    fn take(&mut self, name: &str, metrics: &Metrics) -> Batch {
        let mut batch = std::mem::replace(&mut self.batch, Batch::empty());
        batch.received = clock::now();
        metrics.received(
            name,
            batch.datagrams.len().saturating_sub(self.told),
            batch.dropped_by_kernel.saturating_sub(self.told_of_kernel),
        );
        (self.told, self.told_of_kernel) = (0, 0);
        batch
    }

    /// Gives the batch to the decoder. If there is no room it grows on; once it is full, it
    /// is counted as dropped. False if nobody is there.
    fn hand_over(
        &mut self,
        name: &str,
        to_decoder: &SyncSender<Message>,
        metrics: &Metrics,
    ) -> bool {
        let batch = self.take(name, metrics);
        match to_decoder.try_send(Message::Datagrams(batch)) {
            Ok(()) => true,
            Err(TrySendError::Full(Message::Datagrams(batch))) => {
                if batch.bytes.len() < BATCH_BYTES_MAX {
                    self.told = batch.datagrams.len();
                    self.batch = batch;
                } else {
                    metrics.queue_full(name, batch.datagrams.len());
                    self.batch = batch.dropped();
                }
                self.told_of_kernel = self.batch.dropped_by_kernel;
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

    /// What is left of a batch that found no room: the count of its datagrams by exporter.
    fn dropped(self) -> Self {
        let Self { datagrams, mut dropped, dropped_by_kernel, .. } = self;
        for datagram in &datagrams {
            *dropped.entry(datagram.exporter).or_default() += 1;
        }
        Self { dropped, dropped_by_kernel, ..Self::empty() }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Puts `count` datagrams of `length` bytes into the batch, as the kernel would.
    fn receive(receiving: &mut Receiving, count: usize, length: usize) {
        for _ in 0..count {
            let start = receiving.batch.bytes.len();
            receiving.batch.bytes.resize(start + length, 0);
            receiving.batch.datagrams.push(Datagram {
                exporter: std::net::Ipv4Addr::LOCALHOST.into(),
                port: 1,
                at: start..start + length,
            });
        }
    }

    #[test]
    fn a_queue_without_room_lets_a_batch_grow_before_it_drops() {
        let (to_decoder, decoder) = sync_channel(1);
        let (metrics, mut receiving) = (Metrics::new(), Receiving::new());
        let hand_over = |receiving: &mut Receiving| {
            assert!(receiving.hand_over("udp", &to_decoder, &metrics));
        };
        receive(&mut receiving, 1, 1_400);
        hand_over(&mut receiving);
        // The queue is full from here on; small batches become one.
        for _ in 0..10 {
            receive(&mut receiving, 1, 1_400);
            hand_over(&mut receiving);
        }
        assert_eq!(receiving.batch.datagrams.len(), 10);
        receive(&mut receiving, 90, 9_000);
        receiving.batch.dropped_by_kernel = 7;
        hand_over(&mut receiving);
        assert!(receiving.batch.datagrams.is_empty() && !receiving.is_empty());
        let Ok(Message::Datagrams(first)) = decoder.recv() else { panic!() };
        assert_eq!(first.datagrams.len(), 1);
        receive(&mut receiving, 2, 1_400);
        hand_over(&mut receiving);
        let Ok(Message::Datagrams(second)) = decoder.recv() else { panic!() };
        assert_eq!(second.datagrams.len(), 2);
        assert_eq!(second.dropped.values().sum::<u64>(), 100);
        assert_eq!(second.dropped_by_kernel, 7);
        let page = metrics.text().unwrap();
        for line in [
            "datagrams_total{socket=\"udp\"} 103",
            "dropped_total{socket=\"udp\",by=\"queue\"} 100",
            "dropped_total{socket=\"udp\",by=\"kernel\"} 7",
        ] {
            assert!(page.contains(line), "no {line} in\n{page}");
        }
    }
}
