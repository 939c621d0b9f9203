//! Progress of long work, for whoever watches.

/// Told how far long work is.
pub trait Progress: Sync {
    /// A part of `total` units begins.
    fn begin(&self, what: &str, total: u64);
    /// So many more of them are done.
    fn advance(&self, units: u64);
    /// Something about the part at work, in a few words.
    fn note(&self, _: &str) {}
    /// It is over.
    fn end(&self);
}

/// Progress that nobody watches.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}
