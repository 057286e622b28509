//! The figures of a report's `agent`, as a table for people.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

const MS: f64 = 1e6;
const MIB: f64 = 1_048_576.0;

/// A field of `agent`: what it is called here, in which unit, and what it is to stay below.
struct Figure {
    field: &'static str,
    name: &'static str,
    unit: &'static str,
    scale: f64,
    below: Option<f64>,
}

const FIGURES: [Figure; 6] = [
    Figure::new("attach_ns", "attached after start", "ms", MS, Some(300.0)),
    Figure::new(
        "finish_ns",
        "observed after the window's end",
        "ms",
        MS,
        None,
    ),
    Figure::new("cpu_user_ns", "CPU, user", "ms", MS, None),
    Figure::new("cpu_system_ns", "CPU, system", "ms", MS, None),
    Figure::new(
        "peak_rss_bytes",
        "peak resident memory",
        "MiB",
        MIB,
        Some(40.0),
    ),
    Figure::new("map_memory_bytes", "kernel maps", "MiB", MIB, Some(32.0)),
];

impl Figure {
    const fn new(
        field: &'static str,
        name: &'static str,
        unit: &'static str,
        scale: f64,
        below: Option<f64>,
    ) -> Self {
        Self {
            field,
            name,
            unit,
            scale,
            below,
        }
    }

    fn row(&self, value: f64) -> String {
        let aim = self
            .below
            .map(|below| format!("  (below {below})"))
            .unwrap_or_default();
        format!(
            "{:<34} {:>9.1} {}{aim}\n",
            self.name,
            value / self.scale,
            self.unit
        )
    }
}

/// `beyond` is how much longer than its window the whole run took, by our own clock.
pub(super) fn of_agent(agent: &Value, beyond: Duration) -> Result<String> {
    let mut table = String::new();
    for figure in FIGURES {
        table += &figure.row(number(agent, figure.field)?);
    }
    let whole = Figure::new("", "run beyond its window, in all", "ms", 1.0, Some(1300.0));
    table += &whole.row(beyond.as_secs_f64() * 1e3);
    Ok(table + "\n" + &programs(agent)?)
}

/// One row for each program, the one that took most time first.
fn programs(agent: &Value) -> Result<String> {
    let programs = agent["programs"]
        .as_array()
        .context("the report names no programs")?;
    let rows = programs
        .iter()
        .map(Program::read)
        .collect::<Result<Vec<_>>>();
    let mut rows = rows?;
    rows.sort_by(|a, b| b.run_ns.total_cmp(&a.run_ns));
    let mut table = format!(
        "{:<34} {:>12} {:>10} {:>10}\n",
        "program", "runs", "ms", "ns/run"
    );
    for Program { name, runs, run_ns } in rows {
        let each = if runs > 0.0 { run_ns / runs } else { 0.0 };
        writeln!(
            table,
            "{name:<34} {runs:>12} {:>10.1} {each:>10.0}",
            run_ns / MS
        )?;
    }
    Ok(table)
}

struct Program {
    name: String,
    runs: f64,
    run_ns: f64,
}

impl Program {
    fn read(program: &Value) -> Result<Self> {
        let name = program["name"]
            .as_str()
            .context("a program in the report has no name")?;
        let (runs, run_ns) = (number(program, "runs")?, number(program, "run_ns")?);
        Ok(Self {
            name: name.to_owned(),
            runs,
            run_ns,
        })
    }
}

fn number(of: &Value, field: &str) -> Result<f64> {
    of[field]
        .as_f64()
        .with_context(|| format!("the report has no {field}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agent() -> Value {
        json!({
            "attach_ns": 120_000_000, "finish_ns": 1_000_000, "cpu_user_ns": 0, "cpu_system_ns": 0,
            "peak_rss_bytes": 10_485_760, "map_memory_bytes": 0,
            "programs": [
                { "name": "idle", "runs": 0, "run_ns": 0 },
                { "name": "complete", "runs": 1000, "run_ns": 150_000 },
            ],
        })
    }

    #[test]
    fn figures_stand_beside_what_they_are_to_stay_below() {
        let table = of_agent(&agent(), Duration::from_millis(250)).unwrap();
        let row = |name: &str| {
            table
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned()
        };
        assert!(row("attached").ends_with("120.0 ms  (below 300)"));
        assert!(row("peak").ends_with("10.0 MiB  (below 40)"));
        assert!(row("run beyond").ends_with("250.0 ms  (below 1300)"));
    }

    #[test]
    fn the_dearest_program_comes_first_and_an_idle_one_costs_nothing() {
        let table = programs(&agent()).unwrap();
        let rows: Vec<Vec<_>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[1], ["complete", "1000", "0.1", "150"]);
        assert_eq!(rows[2], ["idle", "0", "0.0", "0"]);
    }

    #[test]
    fn a_report_without_a_figure_says_which() {
        let error = of_agent(&json!({ "attach_ns": 1 }), Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "the report has no finish_ns");
    }
}
