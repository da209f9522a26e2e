use std::cell::Cell;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::*;

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

fn ordered(list: &[&str], policy: Policy, turn: usize) -> Vec<String> {
    let Candidates { first, rest, .. } = order(&addresses(list), policy, turn, 80);
    std::iter::once(first).chain(rest).map(|address| address.ip().to_string()).collect()
}

fn names(ttl: Option<Duration>, select: Select) -> Names {
    Names::new(&Dns { ttl, select, policy: Policy::PreferIpv4, server: None })
}

const MIXED: &[&str] = &["::1", "1.0.0.1", "1.0.0.2", "::2", "1.0.0.3"];

#[test]
fn the_policy_chooses_the_first_family_and_then_they_alternate() {
    assert_eq!(ordered(MIXED, Policy::PreferIpv4, 0), ["1.0.0.1", "::1", "1.0.0.2", "::2", "1.0.0.3"]);
    assert_eq!(ordered(MIXED, Policy::PreferIpv6, 0), ["::1", "1.0.0.1", "::2", "1.0.0.2", "1.0.0.3"]);
    assert_eq!(ordered(MIXED, Policy::Any, 0), ["::1", "1.0.0.1", "::2", "1.0.0.2", "1.0.0.3"]);
    assert_eq!(ordered(&["::1", "::2"], Policy::PreferIpv4, 1), ["::2", "::1"]);
}

#[test]
fn the_turn_chooses_the_first_address() {
    assert_eq!(ordered(MIXED, Policy::PreferIpv4, 4), ["1.0.0.2", "::1", "1.0.0.3", "::2", "1.0.0.1"]);
    let firsts: Vec<_> = (0..6).map(|turn| ordered(MIXED, Policy::Any, turn).remove(0)).collect();
    assert_eq!(firsts, ["::1", "1.0.0.1", "1.0.0.2", "::2", "1.0.0.3", "::1"]);
    for turn in 0..7 {
        for policy in [Policy::Any, Policy::PreferIpv4, Policy::PreferIpv6] {
            let mut all = ordered(MIXED, policy, turn);
            all.sort();
            assert_eq!(all, ["1.0.0.1", "1.0.0.2", "1.0.0.3", "::1", "::2"], "every address once");
        }
    }
}

#[test]
fn a_policy_that_leaves_no_address_is_an_error() {
    let error = allowed("a.test", addresses(&["1.0.0.1"]), Policy::OnlyIpv6).unwrap_err();
    assert_eq!(error, Error::NoSuchHost("`a.test` has no IPv6 address".to_owned()));
    assert_eq!(allowed("a.test", addresses(MIXED), Policy::OnlyIpv6).unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_ask_for_a_name_share_one_question() {
    let (names, asked) = (names(None, Select::First), Cell::new(0));
    let ask = || {
        asked.set(asked.get() + 1);
        async {
            sleep(Duration::from_millis(100)).await;
            Ok(addresses(&["1.0.0.1"]))
        }
    };
    let all = futures_util::future::join_all((0..1000).map(|_| names.share("a.test", ask))).await;
    assert!(all.iter().all(|answer| answer.as_ref().is_ok_and(|addresses| addresses.len() == 1)));
    assert_eq!(asked.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cancelled_hangs_nobody() {
    let names = names(None, Select::First);
    let ask = || async {
        sleep(Duration::from_millis(100)).await;
        Ok(addresses(&["1.0.0.1"]))
    };
    let mut leader = Box::pin(names.share("a.test", ask));
    assert!(timeout(Duration::from_millis(10), leader.as_mut()).await.is_err());
    let mut follower = Box::pin(names.share("a.test", || async { panic!("it was asked already") as Result<_, Error> }));
    assert!(timeout(Duration::from_millis(10), follower.as_mut()).await.is_err());
    drop(leader);
    assert!(timeout(Duration::from_millis(100), follower).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_waits_for_is_asked_anew() {
    let names = names(None, Select::First);
    let (_never, never) = oneshot::channel::<()>();
    let first = names.share("a.test", || async {
        let _ = never.await;
        Ok(addresses(&["1.0.0.1"]))
    });
    assert!(timeout(Duration::from_millis(10), first).await.is_err());
    let second = names.share("a.test", || async { Ok(addresses(&["1.0.0.2"])) }).await;
    assert_eq!(second.unwrap().as_ref(), addresses(&["1.0.0.2"]));
}

#[tokio::test]
async fn what_failed_is_not_kept() {
    let names = names(None, Select::First);
    let failed = names.share("a.test", || async { Err(Error::Dns("no".to_owned())) }).await;
    assert_eq!(failed, Err(Error::Dns("no".to_owned())));
    assert!(names.state.borrow_mut().fresh("a.test", None, Select::First).is_none());
    assert!(names.share("a.test", || async { Ok(addresses(&["1.0.0.2"])) }).await.is_ok());
}

#[tokio::test]
async fn an_answer_is_kept_as_long_as_the_ttl_says() {
    let names = names(None, Select::RoundRobin);
    names.share("a.test", || async { Ok(addresses(&["1.0.0.1", "1.0.0.2"])) }).await.unwrap();
    let state = &mut *names.state.borrow_mut();
    assert!(state.fresh("a.test", Some(Duration::ZERO), Select::First).is_none());
    assert!(state.fresh("a.test", Some(Duration::from_mins(1)), Select::First).is_some());
    let turns: Vec<_> = (0..3).filter_map(|_| state.fresh("a.test", None, Select::RoundRobin)).map(|it| it.1).collect();
    assert_eq!(turns, [0, 1, 2]);
}
