//! The rows of one file, as they are decoded.
//!
//! **Invariant:** a file that was not decoded to its end is an error, and not its end.

use tokio::sync::mpsc::Receiver;

use super::AtHand;
use super::rows::{Decoded, Halves, Row, contacts_of, number};
use crate::{Error, Result};

/// The rows of one file, from the first that was not taken.
pub(super) struct Run {
    /// The first day of its month, as days from the first of the question.
    from: i32,
    decoded: Decoded,
    at: usize,
    /// Without rows at the end of the file.
    more: Receiver<Result<Decoded>>,
    pub(super) ended: bool,
    /// What it means if nothing more comes before the end.
    stopped: Option<Error>,
}

impl Run {
    pub(super) fn new(
        from: i32,
        more: Receiver<Result<Decoded>>,
        stopped: Error,
    ) -> Self {
        let (decoded, at, ended) = (Decoded::default(), 0, false);
        Self { from, decoded, at, more, ended, stopped: Some(stopped) }
    }

    /// The first address that was not taken.
    pub(super) fn first(&self) -> Option<Halves> {
        self.decoded.rows.get(self.at).map(|row| row.address)
    }

    /// The last address at hand.
    pub(super) fn last(&self) -> Option<Halves> {
        self.decoded.rows.last().map(|row| row.address)
    }

    /// Reads on until a row is at hand, or the file has ended.
    pub(super) async fn look_ahead(&mut self) -> Result<()> {
        while !self.ended && self.first().is_none() {
            let decoded = match self.more.recv().await {
                Some(decoded) => decoded?,
                // Whoever decoded it is gone: its rows would be missing.
                None => self.stopped.take().map_or(Ok(Decoded::default()), Err)?,
            };
            self.ended = decoded.rows.is_empty();
            (self.decoded, self.at) = (decoded, 0);
        }
        Ok(())
    }

    /// Takes the rows of an address, which is its first.
    pub(super) fn take(&mut self, address: Halves, into: &mut AtHand) {
        let rest = self.decoded.rows.get(self.at..).unwrap_or(&[]);
        for row in rest.iter().take_while(|row| row.address == address) {
            let each = number(into.contacts.len());
            let of_row =
                contacts_of(&self.decoded.contacts, row.each, row.several_days());
            into.contacts.extend_from_slice(of_row);
            into.rows.push((self.from, Row { each, ..*row }));
            self.at += 1;
        }
    }
}
