//! `agents`: which are here, which work, what to do about the rest; `agents test` has one say a word.

use fornax_agents::detect::{AGENTS, Agent, Login, Machine, Support};
use fornax_core::agent::DriverKind;
use fornax_core::error::{EXIT_DONE, ErrorKind};
use fornax_core::request::Request;
use fornax_daemon::tools::{Tools, Wanted};
use serde::Serialize;

use super::Context;
use super::follow::{command, watching};
use crate::agents_cli::{Agents, AgentsAction};
use crate::failure::{Outcome, fail};
use crate::out::{self, GREEN, RED, YELLOW, paint};
use crate::render::table::Table;
use crate::text::one_line;

/// What an agent that is tested is told: it costs a few tokens and touches nothing.
const TEST_PROMPT: &str = "This is a test of the connection. Use no tools. Answer with the single \
                           word: ready";
/// How long it may take.
const TEST_TIMEOUT_MS: u64 = 180_000;

/// An agent as it is found.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    driver: DriverKind,
    usable: bool,
    version: Option<String>,
    support: Support,
    tested: (&'static str, &'static str),
    login: Login,
    path: Option<std::path::PathBuf>,
    problem: Option<String>,
    advice: Option<String>,
}

pub async fn agents(context: &Context, args: Agents) -> Outcome {
    if let Some(AgentsAction::Test(test)) = args.action {
        return self::test(context, test.name).await;
    }
    if args.prices {
        out::raw(fornax_agents::prices::BUILT_IN.as_bytes())?;
        return Ok(EXIT_DONE);
    }
    let rows = look(context)?;
    if args.json {
        out::json(&rows)?;
        return Ok(EXIT_DONE);
    }
    let mut table = Table::new(&["AGENT", "", "VERSION", "LOGIN", "PROGRAM", "TO DO"]);
    for row in &rows {
        let sign = match (row.usable, &row.advice) {
            (true, None) => paint(GREEN, "✓"),
            (true, Some(_)) => paint(YELLOW, "!"),
            (false, _) => paint(RED, "✗"),
        };
        let mut version = row.version.as_deref().map(one_line).unwrap_or_default();
        match row.support {
            Support::TooOld => version += " (too old)",
            Support::Newer => version += " (newer than was tried)",
            Support::Known | Support::Unknown => {}
        }
        let login = match &row.login {
            Login::Variable(name) => format!("${name}"),
            Login::File(_) => "yes".to_owned(),
            Login::No if row.usable => "no".to_owned(),
            Login::No => String::new(),
        };
        let path = row
            .path
            .as_ref()
            .map(|path| one_line(&path.to_string_lossy()));
        table.row(vec![
            row.name.to_owned(),
            sign,
            version,
            login,
            path.unwrap_or_default(),
            row.advice.clone().unwrap_or_default(),
        ]);
    }
    // Nothing is cut: what to do stands in the last column.
    out::print(&table.render(usize::MAX))?;
    Ok(EXIT_DONE)
}

fn look(context: &Context) -> Result<Vec<Row>, crate::failure::Failure> {
    let dir = context.project_dir()?.dir;
    let wanted: Vec<Wanted> = AGENTS
        .iter()
        .map(|agent| Wanted {
            name: agent.name.to_owned(),
            program: agent.program.to_owned(),
            is_trusted: true,
        })
        .collect();
    let machine = Machine {
        env: &|name| std::env::var(name).ok(),
        is_file: &|path| path.is_file(),
    };
    let found = Tools::default().look(&wanted, Some(&dir));
    let row = |(agent, found): (&Agent, fornax_daemon::tools::Found)| {
        let support = agent.support(found.version.as_deref());
        let login = agent.login(&machine);
        Row {
            name: agent.name,
            driver: agent.driver,
            usable: found.usable && support != Support::TooOld,
            advice: agent.advice(found.path.is_some(), support, &login),
            version: found.version,
            support,
            tested: agent.versions,
            login,
            path: found.path,
            problem: found.problem,
        }
    };
    Ok(AGENTS.iter().zip(found).map(row).collect())
}

async fn test(context: &Context, name: String) -> Outcome {
    if let Some(row) = look(context)?.into_iter().find(|row| row.name == name)
        && !row.usable
    {
        return fail(
            ErrorKind::NotFound,
            format!(
                "{name} cannot be used: {}",
                row.problem
                    .unwrap_or_else(|| "its version is too old".to_owned())
            ),
            row.advice
                .unwrap_or_else(|| "`fornax agents` tells more".to_owned()),
        );
    }
    let (daemon, project) = context.project().await?;
    let request = Request::RunTask {
        tool: name,
        prompt: TEST_PROMPT.to_owned(),
        model: None,
        timeout_ms: Some(TEST_TIMEOUT_MS),
    };
    command(&daemon, &project, request, watching()).await
}
