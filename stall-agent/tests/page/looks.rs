//! Themes, a phone, paper.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::{Value, json};
use stall_agent::report::{bytes, page};

use crate::browser::Browser;
use crate::pages::{CASES, hostile, report};

/// Colours of text and of what is behind it.
const CONTRAST: &str = "
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => parse(colour).slice(0, 3).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if (parse(colour)[3] !== 0) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const texts = [...document.querySelectorAll('h1, h2, h3, p, li, dt, dd, td, th, code, a, summary')]
        .filter((one) => one.checkVisibility() && one.textContent.trim());
    const ratio = (one) => {
        const [dark, bright] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => a - b);
        return (bright + 0.05) / (dark + 0.05);
    };
    const worst = texts.map((one) => [ratio(one), one.tagName, one.textContent.slice(0, 40)]).sort((a, b) => a[0] - b[0])[0];
    return [getComputedStyle(document.body).backgroundColor, worst, texts.length];";

fn theme(browser: &Browser, scheme: &str) -> Result<(), String> {
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser
        .devtools("Emulation.setEmulatedMedia", &features)
        .map(drop)
}

fn size(browser: &Browser, width: u32, height: u32, phone: bool) -> Result<(), String> {
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": if phone { 2 } else { 1 }, "mobile": phone });
    browser
        .devtools("Emulation.setDeviceMetricsOverride", &metrics)
        .map(drop)
}

/// Text has the contrast WCAG asks for (4.5 to 1), and the themes are two.
pub(crate) fn both_themes_can_be_read(browser: &Browser) -> Result<(), String> {
    size(browser, 1_200, 900, false)?;
    for case in CASES {
        browser.show(case, &page(&report(case)))?;
        let mut papers = Vec::new();
        for scheme in ["light", "dark"] {
            theme(browser, scheme)?;
            let seen = browser.run(CONTRAST)?;
            let worst = &seen[1];
            if worst[0].as_f64().is_none_or(|ratio| ratio < 4.5)
                || seen[2].as_u64().unwrap_or(0) < 20
            {
                return Err(format!("{case}, {scheme}: {seen}"));
            }
            papers.push(seen[0].clone());
            keep(browser, &format!("{case}-desktop-{scheme}"))?;
        }
        if papers[0] == papers[1] {
            return Err(format!("{case} has one theme only: {papers:?}"));
        }
    }
    Ok(())
}

/// Nothing reaches beyond the screen, also with names that have no end.
pub(crate) fn a_phone_is_wide_enough(browser: &Browser) -> Result<(), String> {
    const WIDTH: &str = "const width = document.documentElement.clientWidth;
        const beyond = [...document.querySelectorAll('body *')].filter((one) => !one.closest('svg, .scroll, #tip')
            && one.getBoundingClientRect().right > width + 1).map((one) => one.outerHTML.slice(0, 80));
        document.querySelectorAll('details').forEach((one) => one.open = true);
        return [width, document.documentElement.scrollWidth, beyond];";
    size(browser, 360, 780, true)?;
    let pages = CASES.into_iter().map(|case| (case, report(case)));
    for (case, report) in pages.chain([("hostile", hostile())]) {
        browser.show(case, &page(&report))?;
        for scheme in ["light", "dark"] {
            theme(browser, scheme)?;
            keep(browser, &format!("{case}-phone-{scheme}"))?;
        }
        let seen = browser.run(WIDTH)?;
        let again = browser.run(WIDTH)?;
        for seen in [seen, again] {
            let fits = seen[0] == 360 && seen[1].as_u64() <= Some(360) && seen[2] == json!([]);
            if !fits {
                return Err(format!("{case}: {seen}"));
            }
        }
    }
    Ok(())
}

pub(crate) fn it_prints(browser: &Browser) -> Result<(), String> {
    browser.show("print", &page(&report("trim_and_readers")))?;
    theme(browser, "dark")?;
    let printed = browser.devtools(
        "Page.printToPDF",
        &json!({ "printBackground": true, "paperWidth": 8.27, "paperHeight": 11.69 }),
    )?;
    let pdf = decoded(&printed)?;
    let pages = String::from_utf8_lossy(&pdf)
        .matches("/Type /Page\n")
        .count();
    if !pdf.starts_with(b"%PDF") || pdf.len() < 20_000 || !(1..=8).contains(&pages) {
        return Err(format!(
            "it prints to {} on {pages} pages",
            bytes(pdf.len() as u64)
        ));
    }
    if let Some(folder) = shots() {
        std::fs::write(folder.join("print.pdf"), pdf).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn shots() -> Option<PathBuf> {
    std::env::var_os("STALL_PAGE_SHOTS").map(PathBuf::from)
}

/// A picture of the whole page, where pictures are wanted.
pub(crate) fn keep(browser: &Browser, name: &str) -> Result<(), String> {
    let Some(folder) = shots() else {
        return Ok(());
    };
    let whole = json!({ "captureBeyondViewport": true });
    let shot = decoded(&browser.devtools("Page.captureScreenshot", &whole)?)?;
    std::fs::write(folder.join(format!("{name}.png")), shot).map_err(|error| error.to_string())
}

fn decoded(answer: &Value) -> Result<Vec<u8>, String> {
    let text = answer["data"].as_str().ok_or("there is no data")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    decoded.map_err(|error| error.to_string())
}
