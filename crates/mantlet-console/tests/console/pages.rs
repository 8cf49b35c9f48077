//! Over plain HTTP: who gets in, what a change must carry, and what no page may hold.

use crate::web::{Answer, ask, form};
use crate::world::{PASSWORD, Stage, World};

/// Somebody signed in: cookie and form token.
struct Person {
    cookie: String,
    token: String,
}

fn try_sign_in(stage: &Stage, name: &str, password: &str) -> Answer {
    let door = ask(stage.addr, "GET", "/sign-in", &[], "");
    let (cookie, token) = (door.cookies(), door.token());
    let origin = format!("http://{}", stage.addr);
    let fields = [("name", name), ("password", password), ("form_token", &token), ("next", "/")];
    post(stage, "/sign-in", &cookie, &origin, &form(&fields))
}

fn post(stage: &Stage, path: &str, cookie: &str, origin: &str, body: &str) -> Answer {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    ask(stage.addr, "POST", path, &[("Cookie", cookie), ("Origin", origin), kind], body)
}

fn sign_in(stage: &Stage, name: &str) -> Person {
    let answer = try_sign_in(stage, name, PASSWORD);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let cookie = answer.cookies();
    let token = get(stage, &cookie, "/").token();
    Person { cookie, token }
}

fn get(stage: &Stage, cookie: &str, path: &str) -> Answer {
    ask(stage.addr, "GET", path, &[("Cookie", cookie)], "")
}

fn pages(stage: &Stage) -> Vec<String> {
    let fixed = [
        "/",
        "/incidents",
        "/incidents?state=all",
        "/reviews",
        "/reviews/rev-0001",
        "/reviews/rev-0002",
        "/data",
        "/data/cheque%20reader/week-47",
        "/data/cheque%20reader/week-48",
        "/reports",
        "/reports/1790035800000-monitor-drift",
        "/live",
        "/audit",
        "/keys",
        "/account",
        "/systems/cheque%20reader",
        "/systems/cheque%20reader/versions/v1",
        "/systems/cheque%20reader/rollout",
    ];
    fixed.iter().map(ToString::to_string).chain([format!("/incidents/{}", stage.incident)]).collect()
}

#[test]
fn nobody_sees_anything_without_signing_in() {
    let stage = Stage::new();
    for path in pages(&stage) {
        let answer = ask(stage.addr, "GET", &path, &[], "");
        assert_eq!(answer.status, 303, "{path}");
        assert!(answer.header("location").unwrap().starts_with("/sign-in?next=%2F"), "{path}");
    }
    for path in ["/api/v1/incidents", "/api/v1/reviews", "/api/v1/batches", "/api/v1/audit", "/api/v1/keys"] {
        assert_eq!(ask(stage.addr, "GET", path, &[], "").status, 401, "{path}");
    }
    assert_eq!(ask(stage.addr, "GET", "/live/events", &[], "").status, 303);
}

#[test]
fn every_page_is_complete_guarded_by_headers_and_free_of_secrets_and_inline_code() {
    let stage = Stage::new();
    let ada = sign_in(&stage, "ada");
    let session_token = ada.cookie.split_once('=').unwrap().1.split(';').next().unwrap();
    for path in pages(&stage) {
        let page = get(&stage, &ada.cookie, &path);
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let body = &page.body;
        for part in [
            "<html lang=\"en\">",
            "<title>",
            "class=\"skip\"",
            "<main id=\"main\"",
            "<nav aria-label=\"Main\"",
            "aria-current",
        ] {
            assert!(
                body.contains(part) || (part == "aria-current" && path == "/account"),
                "{path} lacks {part}"
            );
        }
        assert_eq!(body.matches("<h1").count(), 1, "{path}");
        for bad in
            [" style=", "<style", "onclick", "javascript:", "<script>", "<b>car", "argon2", session_token]
        {
            assert!(!body.contains(bad), "{path} holds {bad}");
        }
        assert_eq!(
            body.matches("method=\"post\"").count(),
            body.matches("name=\"form_token\"").count(),
            "{path}"
        );
        for table in body.split("<table").skip(1) {
            assert!(table.contains("scope=\"col\""), "{path}");
        }
    }
    let lost = get(&stage, &ada.cookie, "/no/such/page");
    assert_eq!((lost.status, lost.body.contains("Not found")), (404, true));
    assert_eq!(get(&stage, &ada.cookie, "/incidents/inc-none").status, 404);
}

#[test]
fn the_cookie_is_strict_and_signing_out_ends_it() {
    let stage = Stage::new();
    let answer = try_sign_in(&stage, "ada", PASSWORD);
    let set = answer.headers.iter().find(|(_, value)| value.starts_with("mantlet_session=")).unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.1.contains(part), "{}", set.1);
    }
    let ada = sign_in(&stage, "ada");
    let origin = format!("http://{}", stage.addr);
    let out = post(&stage, "/sign-out", &ada.cookie, &origin, &form(&[("form_token", &ada.token)]));
    assert_eq!(out.status, 303);
    assert_eq!(get(&stage, &ada.cookie, "/").status, 303);
}

#[test]
fn guessing_is_slowed_down_and_a_wrong_name_looks_like_a_wrong_password() {
    let stage = Stage::new();
    let wrong_name = try_sign_in(&stage, "nobody", "some long password");
    let wrong_password = try_sign_in(&stage, "ada", "some long password");
    assert_eq!((wrong_name.status, wrong_password.status), (401, 401));
    let words = "The name or the password is not right.";
    assert!(wrong_name.body.contains(words) && wrong_password.body.contains(words));
    let statuses: Vec<u16> =
        (0..5).map(|_| try_sign_in(&stage, "ada", "some long password").status).collect();
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    assert_eq!(
        try_sign_in(&stage, "ada", PASSWORD).status,
        429,
        "the right password does not get around the brake"
    );
}

#[test]
fn a_change_needs_our_origin_our_host_the_form_token_and_the_role() {
    let stage = Stage::new();
    let (ada, vic) = (sign_in(&stage, "ada"), sign_in(&stage, "vic"));
    let origin = format!("http://{}", stage.addr);
    let path = format!("/incidents/{}/steps/s1/apply", stage.incident);
    let good = form(&[("form_token", &ada.token)]);
    for (cookie, origin, body) in [
        (&ada.cookie, "http://evil.example", good.as_str()),
        (&ada.cookie, "null", good.as_str()),
        (&ada.cookie, origin.as_str(), ""),
        (&ada.cookie, origin.as_str(), "form_token=0000"),
        (&vic.cookie, origin.as_str(), &form(&[("form_token", &ada.token)])),
        (&vic.cookie, origin.as_str(), &form(&[("form_token", &vic.token)])),
    ] {
        assert_eq!(post(&stage, &path, cookie, origin, body).status, 403, "{origin} {body}");
    }
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let no_origin = ask(stage.addr, "POST", &path, &[("Cookie", &ada.cookie), kind], &good);
    assert_eq!(no_origin.status, 403);
    let rebound = ask(stage.addr, "GET", "/sign-in", &[("Host", "evil.example")], "");
    assert_eq!(rebound.status, 421);
    assert!(stage.world.orders.lock().unwrap().is_empty());
    assert_eq!(post(&stage, &path, &ada.cookie, &origin, &good).status, 303);
    assert_eq!(*stage.world.orders.lock().unwrap(), ["apply throttle-key"]);
}

#[test]
fn a_refusal_is_said_in_plain_words_and_changes_nothing() {
    let stage = Stage::new();
    let ada = sign_in(&stage, "ada");
    let origin = format!("http://{}", stage.addr);
    let path = "/systems/cheque%20reader/roll-back";
    let empty = post(&stage, path, &ada.cookie, &origin, &form(&[("form_token", &ada.token), ("why", " ")]));
    assert_eq!(empty.status, 400);
    let refused = post(
        &stage,
        path,
        &ada.cookie,
        &origin,
        &form(&[("form_token", &ada.token), ("why", "odd readings")]),
    );
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("its signature does not hold"));
    let twice = |ruling: &str| {
        let fields =
            [("form_token", ada.token.as_str()), ("ruling", ruling), ("answer", "3"), ("note", "thin pen")];
        post(&stage, "/reviews/rev-0001", &ada.cookie, &origin, &form(&fields)).status
    };
    assert_eq!(twice("nonsense"), 400);
    assert_eq!((twice("answer"), twice("release")), (303, 409));
}

#[test]
fn a_new_password_ends_other_sessions() {
    let stage = Stage::new();
    let (here, there) = (sign_in(&stage, "rae"), sign_in(&stage, "rae"));
    let origin = format!("http://{}", stage.addr);
    let change = |old: &str, new: &str| {
        let fields = form(&[("form_token", &here.token), ("old", old), ("new", new)]);
        post(&stage, "/account", &here.cookie, &origin, &fields)
    };
    assert_eq!(change("wrong password!", "another long one").status, 400);
    assert!(change(PASSWORD, "short").body.contains("at least 12"));
    let changed = change(PASSWORD, "another long one");
    assert_eq!(changed.status, 303);
    assert_eq!(get(&stage, &there.cookie, "/").status, 303);
    assert_eq!(get(&stage, &changed.cookies(), "/").status, 200);
    assert_eq!(try_sign_in(&stage, "rae", "another long one").status, 303);
}

#[test]
fn programs_do_the_same_with_a_managing_key_or_a_session() {
    let stage = Stage::new();
    *stage.world.manage.lock().unwrap() = "mk_manage_secret".into();
    let key = [("Authorization", "Bearer mk_manage_secret"), ("Content-Type", "application/json")];
    let open = ask(stage.addr, "GET", "/api/v1/incidents", &key, "").json();
    assert_eq!((&open["version"], &open["incidents"][0]["id"]), (&1.into(), &stage.incident.clone().into()));
    let path = format!("/api/v1/incidents/{}/steps/s1/apply", stage.incident);
    assert_eq!(ask(stage.addr, "POST", &path, &key, "").json()["done"], true);
    let wrong = ask(stage.addr, "POST", &path, &[("Authorization", "Bearer mk_other")], "");
    assert_eq!((wrong.status, wrong.json()["error"].as_str()), (401, Some("Please sign in")));
    let decide = "/api/v1/reviews/rev-0001/decide";
    assert_eq!(ask(stage.addr, "POST", decide, &key, r#"{"ruling":"answer","answer":"77"}"#).status, 400);
    assert_eq!(ask(stage.addr, "POST", decide, &key, r#"{"ruling":"release"}"#).status, 200);
    let keys = ask(stage.addr, "GET", "/api/v1/keys", &key, "").json();
    assert!(keys["keys"][0].get("hash").is_none() && keys["keys"][0]["id"].is_string());
    let ada = sign_in(&stage, "ada");
    let origin = format!("http://{}", stage.addr);
    let undo = format!("/api/v1/incidents/{}/steps/s1/undo", stage.incident);
    let without = ask(stage.addr, "POST", &undo, &[("Cookie", &ada.cookie), ("Origin", &origin)], "");
    assert_eq!(without.status, 403);
    let headers = [("Cookie", ada.cookie.as_str()), ("Origin", &origin), ("X-Form-Token", &ada.token)];
    assert_eq!(ask(stage.addr, "POST", &undo, &headers, "").status, 200);
    assert_eq!(ask(stage.addr, "GET", "/api/openapi.json", &[], "").json()["openapi"], "3.1.0");
}

#[test]
fn a_rollout_is_shown_with_its_evidence_and_taken_back_by_whoever_may() {
    let stage = Stage::new();
    let (ada, vic) = (sign_in(&stage, "ada"), sign_in(&stage, "vic"));
    let at = "/systems/cheque%20reader/rollout";
    let none = get(&stage, &ada.cookie, at);
    assert!(none.body.contains("No rollout") && none.body.contains("Kill switch"), "{}", none.body);
    *stage.world.rollout.lock().unwrap() = Some(World::rolls(0));
    let page = get(&stage, &ada.cookie, at).body;
    for said in [
        "v2 beside v1: canary step 2",
        "5 % of the callers",
        "600 observations",
        "failed exchanges",
        "e-value",
        "advanced",
    ] {
        assert!(page.contains(said), "{said} is not in {page}");
    }
    assert!(page.contains(">within<") && !page.contains(">worse<"), "{page}");
    *stage.world.rollout.lock().unwrap() = Some(World::rolls(30));
    let worse = get(&stage, &ada.cookie, at).body;
    assert!(
        worse.contains(">worse<")
            && worse.contains("30.00 %")
            && worse.contains("taken back at the next look"),
        "{worse}"
    );
    // Who may only look sees no hands, and has none.
    let looks = get(&stage, &vic.cookie, at).body;
    assert!(looks.contains("v2 beside v1") && !looks.contains("Take back v2"), "{looks}");
    let origin = format!("http://{}", stage.addr);
    let act = |who: &Person, what: &str, more: &[(&str, &str)]| {
        let fields = [&[("form_token", who.token.as_str()), ("why", "it errs")][..], more].concat();
        post(&stage, &format!("{at}/{what}"), &who.cookie, &origin, &form(&fields)).status
    };
    for what in ["take-back", "pause", "switch"] {
        assert_eq!(act(&vic, what, &[("on", "yes")]), 403, "{what}");
    }
    assert_eq!(act(&ada, "something", &[]), 404);
    assert_eq!(act(&ada, "pause", &[]), 303);
    assert!(get(&stage, &ada.cookie, at).body.contains("Let it go on"));
    assert_eq!(act(&ada, "switch", &[("on", "yes")]), 303);
    assert!(get(&stage, &ada.cookie, at).body.contains("Every decision goes to a person: it errs"));
    assert_eq!(act(&ada, "switch", &[("on", "no")]), 303);
    assert!(get(&stage, &ada.cookie, at).body.contains("Decisions flow."));
    assert_eq!(act(&ada, "take-back", &[]), 303);
    let over = get(&stage, &ada.cookie, at).body;
    assert!(over.contains("v2 beside v1: aborted") && !over.contains("Take back v2"), "{over}");
}
