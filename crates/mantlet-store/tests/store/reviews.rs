//! Diverted decisions: ticketed at once, decided once, told to their caller only.

use std::fs;
use std::sync::Arc;

use mantlet_store::{
    AtDeadline, DEADLINE, FixedClock, Options, ReviewDecision, ReviewFilter, ReviewState, ReviewTerms, Store,
    StoreError,
};
use mantlet_vocab::Millis;
use serde_json::json;

use crate::{block, exchange, open, try_open};

async fn kept(store: &Store, count: usize) {
    while store.reviews(&ReviewFilter::default()).await.unwrap().len() < count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_review_is_decided_once_and_told_to_its_caller() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        let desk = store.desk();
        let tickets: Vec<_> = ["a", "a", "b"]
            .iter()
            .map(|caller| desk.file(&exchange("e", 1, caller), 60_000).unwrap())
            .collect();
        assert_eq!(desk.poll(&tickets[0], "a").unwrap().state, ReviewState::Pending);
        assert!(desk.poll(&tickets[0], "b").is_none() && desk.poll("rev-x", "a").is_none());
        kept(&store, 3).await;
        assert_eq!((desk.pending(), store.count_reviews(ReviewState::Pending).await.unwrap()), (3, 3));
        let released = store.decide_review(&tickets[0], ReviewDecision::Release, "rita").await.unwrap();
        assert_eq!((released.state, released.decided_by.as_deref()), (ReviewState::Released, Some("rita")));
        let polled = desk.poll(&tickets[0], "a").unwrap();
        assert_eq!((polled.state, polled.reply.is_some()), (ReviewState::Released, true));
        let answer = ReviewDecision::Answer(json!({"label": 7}));
        store.decide_review(&tickets[1], answer.clone(), "rita").await.unwrap();
        assert_eq!(desk.poll(&tickets[1], "a").unwrap().decision, Some(answer));
        let twice = store.decide_review(&tickets[1], ReviewDecision::Release, "rob").await.unwrap_err();
        assert!(matches!(twice, StoreError::Settled { state: "decided", .. }), "{twice}");
        let none = store.decide_review("rev-none", ReviewDecision::Release, "rob").await.unwrap_err();
        assert!(matches!(none, StoreError::Missing { .. }));
        let pending = ReviewFilter { state: Some(ReviewState::Pending), ..ReviewFilter::default() };
        assert_eq!(store.reviews(&pending).await.unwrap().len(), 1);
        let page = ReviewFilter { skip: 2, most: 2, ..ReviewFilter::default() };
        assert_eq!(store.reviews(&page).await.unwrap().len(), 1);
        let tail = store.audit().tail(2).await.unwrap();
        let words: Vec<_> = tail.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
        assert_eq!(words, [("rita", "review-released"), ("rita", "review-decided")]);
        let mut unasked = exchange("e", 1, "b");
        unasked.reply = None;
        let ticket = desk.file(&unasked, 1_000).unwrap();
        kept(&store, 4).await;
        let nothing = store.decide_review(&ticket, ReviewDecision::Release, "rita").await.unwrap_err();
        assert!(nothing.to_string().contains("no model answer to release"), "{nothing}");
        a_released_request_goes_on_once(&store).await;
        store.close().await.unwrap();
        assert!(desk.file(&exchange("e", 1, "a"), 1).is_err(), "after closing it is refused");
    });
}

/// Of which the model was not asked: to the model once, for the same request of the same caller.
async fn a_released_request_goes_on_once(store: &Store) {
    let terms = ReviewTerms { lasts_ms: 60_000, ..ReviewTerms::default() };
    let mut unasked = exchange("e", 7, "b");
    unasked.reply = None;
    let ticket = store.desk().file_for(&unasked, &terms, true).unwrap();
    kept(store, 5).await;
    assert!(!store.review_goes_on(&ticket, &unasked).await.unwrap(), "nobody released it");
    let released = store.decide_review(&ticket, ReviewDecision::Release, "rita").await.unwrap();
    assert_eq!((released.state, released.went_on), (ReviewState::Released, None));
    // The same words, sent again: another exchange.
    let mut again = exchange("again", 8, "b");
    again.request = unasked.request.clone();
    let (mut eve, mut other, mut elsewhere) = (again.clone(), again.clone(), again.clone());
    eve.caller = "eve".into();
    other.request.version = Some("2".into());
    elsewhere.route = "elsewhere".into();
    for wrong in [&eve, &other, &elsewhere] {
        assert!(!store.review_goes_on(&ticket, wrong).await.unwrap());
    }
    assert!(!store.review_goes_on("rev-none", &again).await.unwrap());
    assert!(store.review_goes_on(&ticket, &again).await.unwrap());
    assert!(!store.review_goes_on(&ticket, &again).await.unwrap(), "once");
    // That it was told does not undo that it went.
    store.review_was_told(&released).await.unwrap();
    let kept = store.review(&ticket).await.unwrap().unwrap();
    assert!(kept.told && kept.went_on.is_some());
    assert!(store.desk().poll(&ticket, "b").unwrap().went_on.is_some());
    let last = store.audit().tail(1).await.unwrap().remove(0);
    assert_eq!((last.actor.as_str(), last.action.as_str()), ("b", "review-went-on"));
}

/// What happens at the deadline is the terms' choice, is written down, and is handed on once.
#[test]
fn at_the_deadline_the_terms_decide_and_the_outcome_is_handed_on_once() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let clock = Arc::new(FixedClock::new(Millis(1_000)));
        let options = Options { serve: true, ..Options::default() };
        let store = Store::open(folder.path(), clock.clone(), options).await.unwrap();
        let terms = |at_deadline| ReviewTerms { lasts_ms: 500, owner: "credit desk".into(), at_deadline };
        let answered = exchange("e", 1, "a");
        let mut unasked = exchange("e", 2, "a");
        unasked.reply = None;
        let desk = store.desk();
        let released = desk.file_for(&answered, &terms(AtDeadline::Release), true).unwrap();
        let goes_on = desk.file_for(&unasked, &terms(AtDeadline::Release), true).unwrap();
        let nothing = desk.file_for(&unasked, &terms(AtDeadline::Release), false).unwrap();
        let rejected = desk.file_for(&answered, &terms(AtDeadline::Reject), true).unwrap();
        kept(&store, 4).await;
        assert_eq!(store.review(&released).await.unwrap().unwrap().owner, "credit desk");
        assert!(store.reviews_to_tell(10).await.unwrap().is_empty(), "nothing is settled yet");
        clock.set(Millis(1_500));
        let states = [
            (&released, ReviewState::Released),
            (&goes_on, ReviewState::Released),
            (&nothing, ReviewState::Expired),
            (&rejected, ReviewState::Expired),
        ];
        for (ticket, state) in states {
            let polled = desk.poll(ticket, "a").unwrap();
            assert_eq!((polled.state, polled.decision.is_some()), (state, state == ReviewState::Released));
        }
        // Late is late, for people too.
        let late = store.decide_review(&released, ReviewDecision::Release, "rita").await.unwrap_err();
        assert!(matches!(late, StoreError::Settled { state: "released", .. }), "{late}");
        let begun = std::time::Instant::now();
        let told = loop {
            let told = store.reviews_to_tell(10).await.unwrap();
            if told.len() == 4 {
                break told;
            }
            assert!(begun.elapsed().as_secs() < 20, "{}", told.len());
            tokio::task::yield_now().await;
        };
        for (ticket, state) in states {
            let review = told.iter().find(|review| review.ticket == *ticket).unwrap();
            assert_eq!(review.state, state);
            store.review_was_told(review).await.unwrap();
        }
        assert!(store.reviews_to_tell(10).await.unwrap().is_empty());
        let tail = store.audit().tail(2).await.unwrap();
        let words: Vec<_> = tail.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
        assert!(words.contains(&(DEADLINE, "review-released")), "{words:?}");
        store.close().await.unwrap();
    });
}

#[test]
fn a_ticket_given_out_before_a_kill_is_known_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("reviews.journal");
    block(async {
        let store = open(folder.path()).await;
        let ticket = store.desk().file(&exchange("e", 1, "a"), 60_000).unwrap();
        kept(&store, 1).await;
        let review = store.review(&ticket).await.unwrap().unwrap();
        store.close().await.unwrap();
        drop(store);
        assert_eq!(fs::metadata(&journal).unwrap().len(), 0, "emptied once the database has it");
        // The journal as a kill leaves it: one known, one new, one torn.
        let line = serde_json::to_string(&review).unwrap();
        let new = line.replace(&ticket, "rev-new");
        fs::write(&journal, format!("{line}\n{new}\n{}", &new[..40])).unwrap();
        let again = open(folder.path()).await;
        assert_eq!(again.reviews(&ReviewFilter::default()).await.unwrap().len(), 2);
        assert_eq!(again.desk().poll("rev-new", "a").unwrap().state, ReviewState::Pending);
    });
}

#[test]
fn time_runs_out_and_another_process_may_decide() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let clock = Arc::new(FixedClock::new(Millis(1_000)));
        let options = Options { serve: true, reviews_most: 2, ..Options::default() };
        let store = Store::open(folder.path(), clock.clone(), options).await.unwrap();
        let late = store.desk().file(&exchange("e", 1, "a"), 500).unwrap();
        let other = store.desk().file(&exchange("e", 1, "a"), 90_000_000_000_000).unwrap();
        assert!(store.desk().file(&exchange("e", 1, "a"), 500).is_err(), "no more than two may wait");
        kept(&store, 2).await;
        clock.set(Millis(1_500));
        assert_eq!(store.desk().poll(&late, "a").unwrap().state, ReviewState::Expired);
        let expired = store.decide_review(&late, ReviewDecision::Release, "rita").await.unwrap_err();
        assert!(matches!(expired, StoreError::Settled { state: "expired", .. }), "{expired}");
        let tool = try_open(folder.path(), false).await.unwrap();
        tool.decide_review(&other, ReviewDecision::Reject("no".into()), "rita").await.unwrap();
        while store.desk().pending() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(store.desk().poll(&other, "a").unwrap().state, ReviewState::Decided);
        assert_eq!(store.review(&late).await.unwrap().unwrap().state, ReviewState::Expired);
        store.desk().file(&exchange("e", 1, "a"), 500).unwrap();
    });
}
