//! Has the crate built again when the page that is embedded into it has changed.
#![allow(clippy::print_stdout)] // How a build script talks to Cargo.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Other builds read the page from the disk while they run.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        let page = Path::new("../../web/dist");
        let watched = if page.exists() {
            page
        } else {
            Path::new("../../web")
        };
        println!("cargo:rerun-if-changed={}", watched.display());
    }
}
