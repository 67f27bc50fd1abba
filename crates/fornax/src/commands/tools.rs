//! `tools`: which tools the project has and whether they can be used.

use fornax_core::error::EXIT_DONE;
use fornax_daemon::tools::Tools;
use fornax_daemon::trust::Trust;

use super::Context;
use crate::cli::Json;
use crate::failure::Outcome;
use crate::out::{self, GREEN, RED, paint};
use crate::render::table::Table;
use crate::text::one_line;

pub fn tools(context: &Context, args: Json) -> Outcome {
    let dir = context.project_dir()?.dir;
    let reading = Trust::from_env().read(&dir)?;
    let found = Tools::default().of_project(&reading, &dir);
    if args.json {
        out::json(&found)?;
        return Ok(EXIT_DONE);
    }
    let mut table = Table::new(&["TOOL", "", "VERSION", "PROGRAM", "PROBLEM"]);
    for tool in &found {
        let sign = if tool.usable {
            paint(GREEN, "✓")
        } else {
            paint(RED, "✗")
        };
        let program = match &tool.path {
            Some(path) => path.to_string_lossy().into_owned(),
            None => tool.program.clone(),
        };
        let mut problem = tool.problem.as_deref().map(one_line).unwrap_or_default();
        if let Some(help) = &tool.help {
            problem += &format!(": {}", one_line(help));
        }
        table.row(vec![
            one_line(&tool.name),
            sign,
            tool.version.as_deref().map(one_line).unwrap_or_default(),
            one_line(&program),
            problem,
        ]);
    }
    // Nothing is cut: what is wrong and what to do about it stands in the last column.
    out::print(&table.render(usize::MAX))?;
    Ok(EXIT_DONE)
}
