//! The part of `docs/kernels.md` that is the same on every kernel: what is asked for, and the rule for each.

use std::fmt::Write as _;

use stall_agent::kernel::catalog::{CATALOG, Kind, Need, Row};
use stall_agent::kernel::layout::{Asked, PARTS, Part};

/// Two tables.
pub(crate) fn write(page: &mut String) {
    page.push_str(
        "
## Rules

A missing required hook or field ends a trace before it begins, with one sentence and exit code 5. A
missing optional one leaves `null` in the report and a row in `coverage_gaps`. `stall-agent check`
tells which are missing on a host. The arguments of the tracepoint select the program, before
anything is loaded.

| hook | arguments | program | without it |
|---|---|---|---|
",
    );
    for row in CATALOG {
        let _ = writeln!(
            page,
            "| `{}` | {} | `{}` | {} |",
            row.hook,
            arguments(row),
            row.program,
            hook_rule(row)
        );
    }
    page.push_str("\n| fields | which | without them |\n|---|---|---|\n");
    for part in PARTS {
        let ways: Vec<_> = part.ways().map(|way| way.join(", ")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            part.name,
            ways.join("; or "),
            part_rule(part)
        );
    }
}

fn arguments(row: &Row) -> String {
    match (row.kind, row.args) {
        (Kind::Iterator, _) => "iterator".to_owned(),
        (_, (least, usize::MAX)) => format!("{least} or more"),
        (_, (least, most)) if least == most => least.to_string(),
        (_, (least, most)) => format!("{least} to {most}"),
    }
}

fn hook_rule(row: &Row) -> String {
    let others = CATALOG
        .iter()
        .filter(|other| other.group == row.group && *other != row);
    let others: Vec<_> = others.map(|other| format!("`{}`", other.program)).collect();
    let rule = match row.need {
        Need::Required if others.is_empty() => "**no trace**".to_owned(),
        Need::Required => format!(
            "replaced by {}; without either **no trace**",
            others.join(", ")
        ),
        Need::Optional(lack) => lack.to_owned(),
    };
    match row.instead_of {
        Some(hook) => format!("used without `{hook}` only: {rule}"),
        None => rule,
    }
}

fn part_rule(part: &Part) -> String {
    let rule = match part.need {
        Need::Required => "**no trace**",
        Need::Optional(lack) => lack,
    };
    match part.asked {
        Asked::Always => rule.to_owned(),
        Asked::Without(hook) => format!("used without `{hook}` only: {rule}"),
        Asked::With(other) => format!("used with `{other}` only: {rule}"),
    }
}
