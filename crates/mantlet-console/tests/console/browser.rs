//! In a real browser: the walk of somebody on call, with the mouse, with the keyboard only, without script.

use mantlet_console::{ReviewState, Ruling};
use mantlet_vocab::Action;

use crate::driver::{Browser, Driver, ENTER, TAB};
use crate::world::{PASSWORD, Stage, exchange};

/// A driver, or a reason to stop: CI must have a browser, a laptop may lack one.
fn driver() -> Option<Driver> {
    let driver = Driver::start();
    if driver.is_none() {
        let words = "the browser tests need chromium and chromedriver (Debian: chromium chromium-driver)";
        assert!(std::env::var_os("CI").is_none(), "{words}");
        println!("\nSKIPPED, NOT PASSED: {words}\n");
    }
    driver
}

fn sign_in(browser: &Browser<'_>, base: &str, name: &str) {
    browser.go(&format!("{base}/sign-in"));
    browser.write("#name", name);
    browser.write("#password", PASSWORD);
    browser.follow("form button");
}

#[test]
fn somebody_on_call_contains_undoes_and_decides() {
    let Some(driver) = driver() else { return };
    let stage = Stage::new();
    let base = format!("http://{}", stage.addr);
    let browser = driver.browser(true);
    // Sent to where one wanted to go, after signing in.
    browser.go(&format!("{base}/incidents/{}", stage.incident));
    assert!(browser.url().contains("/sign-in?next="));
    browser.write("#name", "ada");
    browser.write("#password", PASSWORD);
    browser.follow("form button");
    assert!(browser.url().ends_with(&stage.incident), "{}", browser.url());
    // The five answers come first.
    let answers = browser.text("dl.answers");
    for question in [
        "What changed",
        "What is suspicious",
        "Who and what is affected",
        "Which decisions may be wrong",
        "What to do now",
    ] {
        assert!(answers.contains(question), "{answers}");
    }
    browser.follow("#step-s1 button.strong");
    assert_eq!(browser.text("#step-s1 .tag"), "in force");
    assert_eq!(*stage.world.orders.lock().unwrap(), ["apply throttle-key"]);
    browser.follow("#step-s1 .deed form[action$='/undo'] button");
    assert_eq!(browser.text("#step-s1 .tag"), "undone");
    assert_eq!(*stage.world.orders.lock().unwrap(), ["apply throttle-key", "undo throttle-key"]);
    // A decision.
    browser.go(&format!("{base}/reviews"));
    browser.follow("tbody a");
    browser.click("input[value=answer]");
    browser.write("#answer", "3");
    browser.write("#note", "thin pen");
    browser.follow("form.panel button.strong");
    assert!(browser.text("main").contains("answered 3 instead of the model"), "{}", browser.text("main"));
    let decided = stage.world.reviews.lock().unwrap()["rev-0001"].state.clone();
    assert!(matches!(decided, ReviewState::Decided { ruling: Ruling::Answer(answer), .. } if answer == "3"));
    // Foreign markup in a second decision stays text.
    browser.go(&format!("{base}/reviews/rev-0002"));
    assert!(browser.text("h1").contains("<script>alert(1)</script>"));
    rows(&browser, &stage, &base);
    live(&browser, &stage, &base);
    looks(&browser, &stage, &base);
}

/// A person decides about rows of a batch, then about the batch.
fn rows(browser: &Browser<'_>, stage: &Stage, base: &str) {
    browser.go(&format!("{base}/data"));
    browser.follow("tbody a");
    assert_eq!(browser.text("h1"), "May a model learn from week-48?");
    browser.write("select[name='all-0']", "leave out");
    browser.write("select[name='row-17']", "right");
    browser.write("#rows-note", "bank-4 sent these twice");
    browser.follow("section form button");
    let of = |row: u64| {
        let ledgers = stage.world.ledgers.lock().unwrap();
        let ruled = ledgers.of("cheque reader").unwrap().batches["week-48"].rulings.of(row);
        ruled.map(|(ruling, by)| format!("{} by {by}", ruling.word()))
    };
    assert_eq!(of(12).as_deref(), Some("leave-out by ada"));
    assert_eq!(of(17).as_deref(), Some("keep by ada"));
    assert_eq!(of(40), None, "another group");
    browser.click("input[value=approve]");
    browser.write("#note", "looked at");
    browser.follow("form.panel button.strong");
    assert!(browser.text("form.panel").contains("Another person has to, too"), "{}", browser.text("main"));
}

/// The live view shows a request as it comes by.
fn live(browser: &Browser<'_>, stage: &Stage, base: &str) {
    browser.go(&format!("{base}/live"));
    assert_eq!(browser.run("return document.querySelectorAll('#live tbody tr').length"), 4);
    stage.live.push(&exchange(77, Action::Divert, "<i>k-9f21</i>"));
    let row = browser.wait(
        "const done = arguments[arguments.length - 1];
         const body = document.querySelector('#live tbody');
         const look = () => body.rows.length === 5 ? (done(body.rows[0].innerText), true) : false;
         if (!look()) new MutationObserver((_, watch) => look() && watch.disconnect()).observe(body, { childList: true });",
    );
    let row = row.as_str().unwrap();
    assert!(row.contains("divert") && row.contains("<i>k-9f21</i>"), "{row}");
}

/// Both themes, narrow and wide: nothing sticks out sideways, all text has contrast, every control has a name.
fn looks(browser: &Browser<'_>, stage: &Stage, base: &str) {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let incident = format!("/incidents/{}", stage.incident);
    let pages = [
        ("overview", "/"),
        ("incident", incident.as_str()),
        ("reviews", "/reviews"),
        ("review", "/reviews/rev-0002"),
        ("picture", "/reviews/rev-0001"),
        ("batches", "/data"),
        ("reports", "/reports"),
        ("report", "/reports/1790035800000-monitor-drift"),
        ("batch", "/data/cheque%20reader/week-48"),
        ("own-batch", "/data/cheque%20reader/week-47"),
        ("system", "/systems/cheque%20reader"),
        ("version", "/systems/cheque%20reader/versions/v1"),
        ("live", "/live"),
        ("audit", "/audit"),
        ("keys", "/keys"),
        ("account", "/account"),
    ];
    for (theme, width) in [("light", 1_200), ("dark", 1_200), ("dark", 390)] {
        browser.theme(theme);
        browser.size(width, 900);
        for (name, path) in pages {
            browser.go(&format!("{base}{path}"));
            let over = browser
                .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
            assert_eq!(over, 0, "{name} is wider than {width} pixels");
            let faults = browser.run(AUDIT);
            assert_eq!(faults, serde_json::json!([]), "{name}, {theme}");
            browser.picture(&format!("{folder}/console-{name}-{theme}-{width}.png"));
        }
    }
}

/// Finds text with too little contrast and controls without a name.
const AUDIT: &str = r"
    const faults = [];
    const parse = (text) => (text.match(/[\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const c = parse(getComputedStyle(at).backgroundColor);
        if (c.length === 3 || c[3] === 1) return c;
      }
      return [255, 255, 255];
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode.parentElement;
      if (!texts.currentNode.textContent.trim() || node.closest('script, noscript, title, option, .visually-hidden, svg')) continue;
      const style = getComputedStyle(node);
      if (style.display === 'none' || style.visibility === 'hidden') continue;
      const [a, b] = [light(parse(style.color)), light(ground(node))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) faults.push(node.tagName + ' ' + texts.currentNode.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
    }
    for (const control of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
      if (!control.labels?.length && !control.getAttribute('aria-label')) faults.push('no label: ' + control.name);
    }
    for (const control of document.querySelectorAll('button, a')) {
      if (!control.textContent.trim() && !control.getAttribute('aria-label')) faults.push('no name: ' + control.outerHTML.slice(0, 80));
    }
    const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
    ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => faults.push('doubled id ' + id));
    return faults;";

#[test]
fn the_keyboard_alone_is_enough() {
    let Some(driver) = driver() else { return };
    let stage = Stage::new();
    let base = format!("http://{}", stage.addr);
    let browser = driver.browser(true);
    browser.go(&format!("{base}/sign-in"));
    // The name has the focus; tab leads to the password, enter sends.
    browser.keys("ada");
    browser.keys(TAB);
    browser.keys(PASSWORD);
    browser.leave(|| browser.keys(ENTER));
    assert_eq!(browser.url(), format!("{base}/"));
    // The first tab is the skip link, and it shows itself.
    browser.keys(TAB);
    let focus = browser
        .run("const a = document.activeElement; return [a.className, a.getBoundingClientRect().left >= 0]");
    assert_eq!(focus, serde_json::json!(["skip", true]));
    browser.keys(ENTER);
    assert_eq!(browser.run("return document.activeElement.id"), "main");
    // From there every link and button is reached in order of reading, each with a visible focus.
    browser.go(&format!("{base}/incidents/{}", stage.incident));
    let mut reached = Vec::new();
    for _ in 0..40 {
        browser.keys(TAB);
        let at = browser.run(
            "const a = document.activeElement;
             return [a.innerText || a.id || a.tagName, getComputedStyle(a).outlineStyle !== 'none', a === document.body]",
        );
        if at[2] == true {
            break;
        }
        assert_eq!(at[1], true, "{at} has no visible focus");
        reached.push(at[0].as_str().unwrap().to_owned());
    }
    for wanted in ["Overview", "Sign out", "Do this now"] {
        assert!(reached.iter().any(|name| name == wanted), "{wanted} in {reached:?}");
    }
}

#[test]
fn everything_but_the_moving_works_without_script() {
    let Some(driver) = driver() else { return };
    let stage = Stage::new();
    let base = format!("http://{}", stage.addr);
    let browser = driver.browser(false);
    sign_in(&browser, &base, "ada");
    browser.go(&format!("{base}/incidents/{}", stage.incident));
    browser.follow("#step-s1 button.strong");
    assert_eq!(browser.text("#step-s1 .tag"), "in force");
    browser.go(&format!("{base}/live"));
    // Markup inside `noscript` exists only for a browser that runs no script.
    assert!(browser.has("head noscript meta[http-equiv=refresh]"));
    stage.live.push(&exchange(9, Action::Refuse, "k-9f21"));
    browser.go(&format!("{base}/live"));
    assert!(browser.text("#live tbody tr").contains("refuse"));
}
