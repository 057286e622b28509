//! Medians and ratios, as tables in Markdown; pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::contender::Contender;
use super::measure::{Figures, Run};
use super::programs::{self, Count};

type Row<'a> = (&'a Contender, Vec<Run>);

/// What is first compared with: nothing attached, then empty programs.
const NOTHING: usize = 0;
const EMPTY: usize = 1;

/// All tables.
pub(super) fn tables(rows: &[Row<'_>], depths: &[u32]) -> String {
    format!("{}\n{}\n{}", speed(rows, depths), work(rows), events(rows))
}

/// The disk's speed beside each, as a ratio within rounds to nothing attached.
fn speed(rows: &[Row<'_>], depths: &[u32]) -> String {
    let mut table = "| 4 KiB random reads | ".to_owned();
    for depth in depths {
        write!(table, "IOPS at {depth} | of nothing | p50 us | p99 us | ").unwrap_or_default();
    }
    table += "\n|---|";
    table += &"---:|".repeat(4 * depths.len());
    table += "\n";
    for (contender, runs) in rows {
        write!(table, "| {} | ", contender.name).unwrap_or_default();
        for depth in 0..depths.len() {
            table += &speed_at(&rows[NOTHING].1, runs, depth);
        }
        table += "\n";
    }
    table
}

fn speed_at(nothing: &[Run], runs: &[Run], depth: usize) -> String {
    let pairs = nothing.iter().zip(runs);
    let ratios = pairs.filter_map(|(nothing, run)| {
        let iops = |run: &Run| Some(run.as_ref().ok()?.loads.get(depth)?.iops);
        Some(iops(run)? / iops(nothing)?)
    });
    let of = |what: fn(&super::measure::Load) -> f64| {
        middle(runs, |figures| figures.loads.get(depth).map(what))
    };
    format!(
        "{} | {} | {} | {} | ",
        text(of(|load| load.iops), 0),
        text(median(ratios.collect()), 3),
        text(of(|load| load.p50_us), 1),
        text(of(|load| load.p99_us), 1)
    )
}

/// What user space does for it.
fn work(rows: &[Row<'_>]) -> String {
    let mut table =
        "| | CPU % of one | peak MiB | attached after ms | ended after ms | lost |\n".to_owned();
    table += "|---|---:|---:|---:|---:|---:|\n";
    for (contender, runs) in rows.iter().skip(EMPTY) {
        writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} |",
            contender.name,
            text(middle(runs, |figures| figures.cpu_percent), 1),
            text(middle(runs, |figures| figures.peak_mib), 1),
            text(middle(runs, |figures| Some(figures.attach_ms)), 0),
            text(middle(runs, |figures| Some(figures.detach_ms)), 0),
            lost(runs)
        )
        .unwrap_or_default();
    }
    table
}

/// The most of any round, by cause.
fn lost(runs: &[Run]) -> String {
    let told = runs
        .iter()
        .filter_map(|run| run.as_ref().ok()?.lost.as_ref());
    let told: Vec<_> = told.collect();
    if told.is_empty() {
        return "not told".to_owned();
    }
    let mut most = BTreeMap::<&str, u64>::new();
    for (cause, count) in told.into_iter().flatten() {
        let most = most.entry(cause).or_default();
        *most = (*most).max(*count);
    }
    let each = most.iter().map(|(cause, count)| format!("{count} {cause}"));
    let each: Vec<_> = each.collect();
    if each.is_empty() {
        "0".to_owned()
    } else {
        each.join(", ")
    }
}

/// Time per event of each program, and less what an empty one takes on its hook.
fn events(rows: &[Row<'_>]) -> String {
    let floor = floor(&rows[EMPTY].1);
    let mut table =
        "| program of | hook | ns per event, timing included | net |\n|---|---|---:|---:|\n"
            .to_owned();
    for (contender, runs) in rows.iter().skip(EMPTY) {
        for (name, ns) in per_event(runs) {
            let net = programs::hook(&name).and_then(|hook| Some(ns - floor.get(hook)?));
            writeln!(
                table,
                "| {} | `{name}` | {ns:.0} | {} |",
                contender.name,
                text(net, 0)
            )
            .unwrap_or_default();
        }
    }
    table
}

/// What an empty program takes, by hook.
fn floor(runs: &[Run]) -> BTreeMap<&'static str, f64> {
    let each = per_event(runs).into_iter();
    each.filter_map(|(name, ns)| Some((programs::hook(&name)?, ns)))
        .collect()
}

/// The median over the rounds, of programs that ran often enough to say.
fn per_event(runs: &[Run]) -> BTreeMap<String, f64> {
    const OFTEN: u64 = 200;
    let all = runs.iter().filter_map(|run| run.as_ref().ok());
    let mut each = BTreeMap::<String, Vec<f64>>::new();
    for (name, count) in all.flat_map(|figures| &figures.programs) {
        if count.runs >= OFTEN {
            each.entry(name.clone())
                .or_default()
                .push(Count::ns_per_run(*count));
        }
    }
    let each = each.into_iter();
    each.filter_map(|(name, values)| Some((name, median(values)?)))
        .collect()
}

fn middle(runs: &[Run], of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
    let figures = runs.iter().filter_map(|run| run.as_ref().ok());
    median(figures.filter_map(of).collect())
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[half]),
        _ => Some(f64::midpoint(values[half - 1], values[half])),
    }
}

fn text(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contender::Kind;
    use crate::bench::measure::Load;

    fn run(iops: f64, programs: &[(&str, u64)]) -> Run {
        let load = Load {
            depth: 1,
            iops,
            p50_us: 3.0,
            p99_us: 9.0,
        };
        let counted = |ns: u64| Count {
            runs: 1000,
            run_ns: ns * 1000,
        };
        Ok(Figures {
            loads: vec![load],
            programs: programs
                .iter()
                .map(|(name, ns)| ((*name).to_owned(), counted(*ns)))
                .collect(),
            lost: Some([("missed_wakeups".to_owned(), iops as u64)].into()),
            ..Figures::default()
        })
    }

    fn contender(name: &'static str) -> Contender {
        Contender {
            name,
            kind: Kind::Nothing,
            hooks: &[],
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_the_floor_is_taken_off() {
        let contenders = ["nothing", "empty programs", "stall-agent"].map(contender);
        let hook = "block_rq_comple";
        let rows = [
            (&contenders[0], vec![run(100.0, &[]), run(200.0, &[])]),
            (&contenders[1], vec![run(100.0, &[(hook, 45)])]),
            (
                &contenders[2],
                vec![run(99.0, &[(hook, 200)]), run(194.0, &[(hook, 220)])],
            ),
        ];
        let tables = tables(&rows, &[1]);
        assert!(
            tables.contains("| stall-agent | 146 | 0.980 | 3.0 | 9.0 |"),
            "{tables}"
        );
        assert!(
            tables.contains("| stall-agent | `block_rq_comple` | 210 | 165 |"),
            "{tables}"
        );
    }

    #[test]
    fn what_was_lost_is_the_most_of_any_round_by_cause() {
        let runs = [run(3.0, &[]), run(5.0, &[]), Err("refused".to_owned())];
        assert_eq!(lost(&runs), "5 missed_wakeups");
        assert_eq!(lost(&[Ok(Figures::default())]), "not told");
        let nothing = Figures {
            lost: Some(BTreeMap::new()),
            ..Figures::default()
        };
        assert_eq!(lost(&[Ok(nothing)]), "0");
    }

    #[test]
    fn what_did_not_run_has_no_figures() {
        let contenders = ["nothing", "empty programs", "peer"].map(contender);
        let rows = [
            (&contenders[0], vec![run(100.0, &[])]),
            (&contenders[1], vec![run(100.0, &[])]),
            (&contenders[2], vec![Err("refused".to_owned())]),
        ];
        assert!(tables(&rows, &[1]).contains("| peer | - | - | - | - |"));
        assert_eq!(median(vec![]), None);
    }
}
