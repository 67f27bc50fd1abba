//! Tests of redaction: a corpus of secrets, a corpus of ordinary text, and properties over both.

mod chunks;
mod corpus;
mod negatives;
mod others;
mod places;
mod positives;
