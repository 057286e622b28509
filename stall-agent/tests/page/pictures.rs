//! What is drawn, measured in the browser: areas and columns are the report's numbers.

use serde_json::Value;
use stall_agent::report::{Report, page};

use crate::browser::{Screen, ask};
use crate::pages::{CASES, report};

/// Of the first disk: the part of the band that is filled, the part of the picture of users that is the culprits', and
/// the number of columns of which something is said.
const MEASURE: &str = "
    const area = (path) => [...(path?.getAttribute('d') ?? '').matchAll(/h([\\d.]+)v([\\d.]+)/g)]
        .reduce((sum, [, width, height]) => sum + width * height, 0);
    const part = (picture, path) => {
        const svg = document.querySelector(picture);
        const box = svg?.querySelector('svg')?.viewBox.baseVal;
        return svg ? area(svg.querySelector(path)) / (box.width * box.height) : 0;
    };
    return [part('.band', '.discard'), part('.usage', '.u0') + part('.usage', '.u1'), document.querySelector('.heat')?.querySelectorAll('.hits rect').length ?? null,
        document.querySelectorAll('details.lane').length];";

pub(crate) fn are_the_reports() -> Result<(), String> {
    for case in CASES {
        let report = report(case);
        let seen = ask(&page(&report), Screen::Light, MEASURE)?;
        let Some(device) = report.verdict.device.as_deref() else {
            continue;
        };
        near(case, "discards in flight", &seen[0], busy(&report, device))?;
        near(
            case,
            "the culprits' share",
            &seen[1],
            culprits(&report, device),
        )?;
        if seen[2].as_u64() != Some(report.intervals.len() as u64) {
            return Err(format!("{case} has {} columns", seen[2]));
        }
        let tasks = report.blocked.iter().filter(|task| task.in_window_ns > 0);
        if seen[3].as_u64() != Some(tasks.count().min(24) as u64) {
            return Err(format!("{case} has {} lanes", seen[3]));
        }
    }
    Ok(())
}

fn near(case: &str, what: &str, seen: &Value, told: f64) -> Result<(), String> {
    let seen = seen.as_f64().unwrap_or(f64::NAN);
    if (seen - told).abs() < 0.02 {
        return Ok(());
    }
    Err(format!(
        "{case}: {what} is {told:.3} in the report and {seen:.3} of the picture"
    ))
}

fn busy(report: &Report, device: &str) -> f64 {
    let device = report.devices.iter().find(|one| one.id == device);
    device
        .and_then(|one| one.discard_clock.busy_share)
        .unwrap_or(0.0)
}

/// Their device time in each interval as a part of all, over the window.
fn culprits(report: &Report, device: &str) -> f64 {
    let ids: Vec<u32> = report
        .verdict
        .culprits
        .iter()
        .filter_map(|one| one.actor)
        .collect();
    let mut sum = 0.0;
    for interval in &report.intervals {
        let rows = interval
            .uses
            .iter()
            .filter(|row| row.device == device && ids.contains(&row.actor));
        let part: f64 = rows.filter_map(|row| row.device_share).sum();
        sum += part * (interval.end_ns - interval.start_ns) as f64;
    }
    sum / report.window.length_ns as f64
}

/// The pointer over the middle of a picture, then a key: something is said each time, of another column.
pub(crate) fn say_what_is_there() -> Result<(), String> {
    let said = ask(
        &page(&report("trim_and_readers")),
        Screen::Light,
        "const plot = document.querySelector('.heat'), tip = document.querySelector('#tip'), box = plot.getBoundingClientRect();
        const before = tip.hidden;
        plot.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + box.width / 2, clientY: box.top + 9, bubbles: true }));
        const first = tip.textContent;
        const lines = [...document.querySelectorAll('.cross')].filter((line) => line.getAttribute('visibility') === 'visible').length;
        plot.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
        const second = tip.textContent;
        plot.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
        return [before, first, second, lines, tip.hidden, document.querySelectorAll('.hits title').length];",
    )?;
    let words = |at: usize| said[at].as_str().unwrap_or_default();
    let good = said[0] == true
        && words(1).contains("reads, writes and fsyncs ended")
        && words(1).contains("a discard in flight")
        && words(2).contains("reads, writes and fsyncs ended")
        && words(1) != words(2)
        && said[3].as_u64().unwrap_or(0) >= 3
        && said[4] == true
        && said[5] == 0;
    if good {
        Ok(())
    } else {
        Err(format!("the pointer shows {said}"))
    }
}
