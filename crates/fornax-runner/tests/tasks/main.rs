//! Tasks as they are run: real processes, real folders, and this very program as the shim.
//!
//! The test harness is our own `main`, because the program has to be a fork server when it is
//! called with `__shim`, as the product's binary does.

// A test harness of our own: what the lints allow in tests does not reach it by itself.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod adopt;
mod capture;
mod disk;
mod ends;
mod kit;
mod legacy;
mod proof;
mod stop;
mod stopped;
mod suspend;
mod user;

use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(fornax_runner::SHIM_ARG) => match std::env::var_os(legacy::FOLDER) {
            Some(dir) => legacy::shim(std::path::Path::new(&dir)),
            None => fornax_runner::shim_main(),
        },
        Some("__daemon") => kit::daemon(&args[2]),
        Some("__starved") => kit::starved(&args[2]),
        Some("__emit") => kit::emit(&args[2], &args[3]),
        _ => {}
    }
    let tests = [
        ends::TESTS,
        stop::TESTS,
        suspend::TESTS,
        capture::TESTS,
        adopt::TESTS,
        proof::TESTS,
        legacy::TESTS,
        stopped::TESTS,
        disk::TESTS,
    ]
    .concat();
    let trials = tests.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            std::panic::catch_unwind(test).map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()));
                Failed::from(text.unwrap_or_default())
            })
        })
    });
    let mut trials: Vec<Trial> = trials.collect();
    // The superuser sees what is hidden from others, so what depends on that is tried as both.
    if let Some(user) = user::OrdinaryUser::new() {
        let user = Arc::new(user);
        for (name, _) in [adopt::TESTS, proof::TESTS, legacy::TESTS, stopped::TESTS].concat() {
            let user = Arc::clone(&user);
            trials.push(Trial::test(format!("user::{name}"), move || user.run(name)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
