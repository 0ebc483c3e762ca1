//! Names that clients learnt from DNS.
//!
//! **Invariant:** answers may come in any order; which one holds at an instant depends only
//! on the answers. The latest one does; of two at the same instant, the smaller name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidegauge_model::{Address, Answer, Instant};

/// The longest time to live believed. Clients and resolvers cap it too (unbound's
/// `cache-max-ttl` is one day).
const TTL_MAX_SECONDS: u32 = 86_400;

/// What each client means by each address, and when.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// By client and server.
    names: HashMap<(Address, Address), Answers>,
    /// The servers among them.
    servers: HashSet<Address>,
}

/// When it was answered → the name, and the last instant it holds.
type Answers = BTreeMap<Instant, (Arc<str>, Instant)>;

impl Learnt {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether any client learnt a name for `server`.
    pub(super) fn has_server(&self, server: Address) -> bool {
        self.servers.contains(&server)
    }

    pub(super) fn insert(&mut self, answer: &Answer) {
        let ttl = answer.ttl_seconds.min(TTL_MAX_SECONDS);
        let until = answer.at.plus_seconds(i64::from(ttl));
        for address in &answer.addresses {
            self.servers.insert(*address);
            let names = self.names.entry((answer.client, *address)).or_default();
            let held = names
                .entry(answer.at)
                .or_insert_with(|| (Arc::clone(&answer.host), until));
            let smaller_name = answer.host < held.0;
            let same_name_longer = answer.host == held.0 && until > held.1;
            if smaller_name || same_name_longer {
                *held = (Arc::clone(&answer.host), until);
            }
        }
    }

    /// Forgets what can no longer hold at `now`.
    pub(super) fn forget(&mut self, now: Instant) {
        self.names.retain(|_, answers| {
            answers.retain(|_, (_, until)| *until >= now);
            !answers.is_empty()
        });
        self.servers = self.names.keys().map(|(_, server)| *server).collect();
    }

    /// The name that `client` meant by `server` at this instant.
    pub(super) fn host(
        &self,
        client: Address,
        server: Address,
        at: Instant,
    ) -> Option<&Arc<str>> {
        let names = self.names.get(&(client, server))?;
        let earliest = at.plus_seconds(-i64::from(TTL_MAX_SECONDS));
        let mut answers = names.range(earliest..=at).rev();
        answers.find(|(_, (_, until))| at <= *until).map(|(_, (host, _))| host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(host: &str, at: i64, ttl_seconds: u32) -> Answer {
        Answer {
            client: "10.0.0.1".parse().unwrap(),
            host: host.into(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            ttl_seconds,
            at: Instant(at * 1_000_000),
        }
    }

    fn host_at(learnt: &Learnt, client: &str, at: i64) -> Option<String> {
        let (client, server) = (client.parse().unwrap(), "192.0.2.1".parse().unwrap());
        learnt.host(client, server, Instant(at * 1_000_000)).map(ToString::to_string)
    }

    #[test]
    fn a_name_holds_for_its_time_to_live_and_for_its_client() {
        let mut learnt = Learnt::default();
        learnt.insert(&answer("b", 100, 60));
        learnt.insert(&answer("a", 0, 1000));
        let at = |t| host_at(&learnt, "10.0.0.1", t);
        assert_eq!(at(-1), None);
        assert_eq!(at(0).as_deref(), Some("a"));
        assert_eq!(at(100).as_deref(), Some("b"));
        assert_eq!(at(160).as_deref(), Some("b"));
        // The shorter answer has run out; the earlier, longer one still holds.
        assert_eq!(at(161).as_deref(), Some("a"));
        assert_eq!(at(1001), None);
        assert_eq!(host_at(&learnt, "10.0.0.2", 100), None);
    }

    #[test]
    fn two_answers_of_one_instant_do_not_depend_on_their_order() {
        let answers = [answer("b", 5, 90), answer("a", 5, 10), answer("a", 5, 30)];
        let (mut forward, mut backward) = (Learnt::default(), Learnt::default());
        for (one, other) in answers.iter().zip(answers.iter().rev()) {
            forward.insert(one);
            backward.insert(other);
        }
        for t in [5, 15, 35, 36, 95] {
            let (f, b) =
                (host_at(&forward, "10.0.0.1", t), host_at(&backward, "10.0.0.1", t));
            assert_eq!(f, b);
            assert_eq!(f.is_some(), t <= 35);
        }
    }

    #[test]
    fn no_answer_is_believed_for_more_than_a_day() {
        let mut learnt = Learnt::default();
        learnt.insert(&answer("a", 0, u32::MAX));
        assert!(host_at(&learnt, "10.0.0.1", 86_400).is_some());
        assert!(host_at(&learnt, "10.0.0.1", 86_401).is_none());
    }
}
