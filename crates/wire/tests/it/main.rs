//! The decoder from outside: bytes in, flows, answers and losses out.

#[cfg(test)]
mod argus;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod batch;
#[cfg(test)]
mod cloud;
#[cfg(test)]
mod dns_logs;
#[cfg(test)]
mod dnstap;
#[cfg(test)]
mod eve;
#[cfg(test)]
mod export_made;
#[cfg(test)]
mod export_shared;
#[cfg(test)]
mod join;
#[cfg(test)]
mod nfcapd;
#[cfg(test)]
mod nfcapd_made;
#[cfg(test)]
mod nfdump;
#[cfg(test)]
mod nfdump_shared;
#[cfg(test)]
mod pcap_made;
#[cfg(test)]
mod pcap_shared;
#[cfg(test)]
mod real_logs;
#[cfg(test)]
mod recognition;
#[cfg(test)]
mod sflow;
