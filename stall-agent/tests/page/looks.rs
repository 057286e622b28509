//! Themes, and a phone.

use serde_json::json;
use stall_agent::report::page;

use crate::browser::{Screen, ask};
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

/// Text has the contrast WCAG asks for (4.5 to 1), and the themes are two.
pub(crate) fn both_themes_can_be_read() -> Result<(), String> {
    for case in CASES {
        let mut papers = Vec::new();
        for screen in [Screen::Light, Screen::Dark] {
            let seen = ask(&page(&report(case)), screen, CONTRAST)?;
            let worst = seen[1][0].as_f64();
            if worst.is_none_or(|ratio| ratio < 4.5) || seen[2].as_u64() < Some(20) {
                return Err(format!("{case}: {seen}"));
            }
            papers.push(seen[0].clone());
        }
        if papers[0] == papers[1] {
            return Err(format!("{case} has one theme only: {papers:?}"));
        }
    }
    Ok(())
}

/// Nothing reaches beyond the screen, also with names that have no end, and with all that can be opened open.
pub(crate) fn a_phone_is_wide_enough() -> Result<(), String> {
    const WIDTH: &str = "document.querySelectorAll('details').forEach((one) => one.open = true);
        const width = document.documentElement.clientWidth;
        const beyond = [...document.querySelectorAll('body *')].filter((one) => !one.closest('svg, .scroll, #tip')
            && one.getBoundingClientRect().right > width + 1).map((one) => one.outerHTML.slice(0, 80));
        return [width, document.documentElement.scrollWidth, beyond];";
    let pages = CASES.into_iter().map(|case| (case, report(case)));
    for (case, report) in pages.chain([("hostile", hostile())]) {
        let seen = ask(&page(&report), Screen::Phone, WIDTH)?;
        if seen != json!([360, 360, []]) {
            return Err(format!("{case}: {seen}"));
        }
    }
    Ok(())
}
