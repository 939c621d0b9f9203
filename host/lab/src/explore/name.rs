//! Names: of files that a spec names, and of contents by their hash.

use std::path::Path;

/// A name of something built in, or a file as seen from `folder`.
pub fn beside(folder: &Path, name: &str) -> String {
    let file = name.contains('/') || Path::new(name).extension().is_some();
    if file { folder.join(name).display().to_string() } else { name.to_owned() }
}

/// The first 32 digits.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().take(16).map(|b| format!("{b:02x}")).collect()
}
