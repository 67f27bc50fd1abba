//! The example plans are plans.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "the core is pure, its tests are not"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fornax_plan::config::Config;
use fornax_plan::{Diagnostic, Source, load};

fn read(path: &Path) -> Result<Source, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let name = path.display().to_string();
    Ok(Source { name, text })
}

fn plans(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            plans(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_example_is_fine() {
    let mut found = Vec::new();
    plans(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans"),
        &mut found,
    );
    assert!(!found.is_empty());
    let told = |all: &[Diagnostic]| all.iter().map(Diagnostic::render).collect::<String>();
    for path in found {
        let config = Config::load(None).unwrap();
        let loader = |from: &str, path: &str| {
            let folder = Path::new(from).parent().unwrap_or(Path::new("."));
            read(&folder.join(path))
        };
        let plan = load(read(&path).unwrap(), &config, &loader);
        let plan = plan.unwrap_or_else(|errors| panic!("{}", told(&errors)));
        let open = plan.inputs.iter().filter(|input| input.default.is_none());
        let inputs = open.map(|input| (input.name.clone(), "given".to_owned()));
        let run = plan.resolve(inputs.collect::<BTreeMap<_, _>>());
        run.unwrap_or_else(|errors| panic!("{}", told(&errors)));
    }
}
