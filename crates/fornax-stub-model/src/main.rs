//! `fornax-stub-model`: a scripted stand-in for model providers, on 127.0.0.1.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use fornax_stub_model::{Options, Script, StubModel};
use tokio::signal::unix::{SignalKind, signal};

/// Answers coding agents from a script, in place of their model's provider: OpenAI (chat
/// completions and Responses), Anthropic or Gemini. Listens on 127.0.0.1 only, until SIGINT or
/// SIGTERM.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The script: JSON rules that say which request gets which answer; without one every turn
    /// ends at once with a short text
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A file that gets the port, once the stub listens
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// A file that gets one JSON line for each request
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Keep the bodies of requests too: all that the agent said
    #[arg(long)]
    log_bodies: bool,
    /// What {{NAME}} in the script stands for
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = name_and_value)]
    vars: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where even that cannot be said, the exit code still does.
            drop(writeln!(io::stderr(), "fornax-stub-model: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let script = match &args.script {
        Some(file) => Script::load(file)?,
        None => Script::rehearsal(),
    };
    let options = Options {
        port: args.port,
        vars: args.vars.into_iter().collect(),
        log: args.log,
        log_bodies: args.log_bodies,
    };
    // Caught before anyone can know that there is something to stop.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stub = StubModel::start(script, options).await?;
    if let Some(file) = &args.port_file {
        write_port(file, stub.port())
            .map_err(|error| format!("cannot write the port file {}: {error}", file.display()))?;
    }
    writeln!(io::stdout(), "fornax-stub-model: {}", stub.base_url())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(stub.shutdown().await?)
}

/// The file appears whole, so that one can wait for it.
fn write_port(file: &Path, port: u16) -> io::Result<()> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".tmp");
    std::fs::write(&unfinished, format!("{port}\n"))?;
    std::fs::rename(&unfinished, file)
}
