//! Numbers and words read back from the page in the browser: they are those of the report.

use serde_json::Value;
use stall_agent::report::{bytes, duration, escape, factor, page, share, thousands};

use crate::browser::{Screen, ask};
use crate::pages::{CASES, hostile, report};

/// Place, value, and the words seen.
const READ: &str = "return [[...document.querySelectorAll('data[data-of]')].map((one) =>
    [one.dataset.of, one.hasAttribute('value') ? one.getAttribute('value') : null, one.textContent]),
    ['/verdict/sentence', '/verdict/device'].map((place) =>
    document.querySelector(`[data-of=\"${place}\"]`)?.textContent ?? null)];";

pub(crate) fn are_the_reports() -> Result<(), String> {
    for case in CASES {
        let report = report(case);
        let json = serde_json::to_value(&report).map_err(|error| error.to_string())?;
        let seen = ask(&page(&report), Screen::Light, READ)?;
        let (figures, words) = (&seen[0], &seen[1]);
        let figures = figures.as_array().ok_or("no figures")?;
        if figures.len() < 12 {
            return Err(format!("{case} has {} figures only", figures.len()));
        }
        for figure in figures {
            is_the_reports(&json, figure).map_err(|problem| format!("{case}: {problem}"))?;
        }
        for (place, seen) in ["/verdict/sentence", "/verdict/device"]
            .into_iter()
            .zip(words.as_array().into_iter().flatten())
        {
            let told = json.pointer(place).and_then(Value::as_str).map(escape);
            if seen.as_str().map(str::to_owned) != told {
                return Err(format!("{case}: {place} is {told:?} and shown as {seen}"));
            }
        }
    }
    Ok(())
}

fn is_the_reports(json: &Value, figure: &Value) -> Result<(), String> {
    let place = figure[0].as_str().ok_or("a figure without a place")?;
    let told = json
        .pointer(place)
        .ok_or_else(|| format!("the report has no {place}"))?;
    let value: Value = match figure[1].as_str() {
        Some(text) => {
            serde_json::from_str(text).map_err(|error| format!("{place} is {text}: {error}"))?
        }
        None => Value::Null,
    };
    if value != *told && value.as_f64() != told.as_f64() {
        return Err(format!(
            "{place} is {told} in the report and {value} in the page"
        ));
    }
    let words = words(place, told);
    if figure[2].as_str() != Some(&words) {
        return Err(format!("{place} reads {} and must read {words}", figure[2]));
    }
    Ok(())
}

/// By the unit in the name.
fn words(place: &str, told: &Value) -> String {
    let name = place.rsplit('/').next().unwrap_or_default();
    if let (true, Some(part)) = (name.ends_with("share"), told.as_f64()) {
        return share(part);
    }
    if let (true, Some(ratio)) = (["ratio", "low", "high"].contains(&name), told.as_f64()) {
        return factor(ratio);
    }
    match told.as_u64() {
        None => "?".to_owned(),
        Some(ns) if name.ends_with("_ns") => duration(ns),
        Some(size) if name.ends_with("bytes") => bytes(size),
        Some(number) => thousands(number),
    }
}

pub(crate) fn hostile_names_run_nothing() -> Result<(), String> {
    let broken = ask(
        &page(&hostile()),
        Screen::Light,
        "return [window.broken ?? 0, document.scripts.length, document.images.length,
            getComputedStyle(document.querySelector('h1')).display, document.querySelectorAll('.party h3').length];",
    )?;
    let parties = broken[4].as_u64().unwrap_or(0);
    if broken[0] != 0 || broken[1] != 2 || broken[2] != 0 || broken[3] != "block" || parties < 1 {
        return Err(format!("a name did something: {broken}"));
    }
    Ok(())
}
