//! The decoder from outside: bytes in, flows, answers and losses out.

mod batch;
mod real_logs;
