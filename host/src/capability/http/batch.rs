//! Several requests at once.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::responses::Answer;
use super::sender::{Asked, Sender};
use crate::protocol::Error;
use crate::protocol::http::Target;

/// Sends several requests at once, so many in all and so many to one host, and returns the answers in order.
///
/// No more than `most` are in flight, whatever the run's settings say: the others wait for their turn.
pub(super) async fn batch(sender: &Sender<'_>, requests: &[Asked<'_>], most: u32) -> Vec<Result<Answer, Error>> {
    let limits = &sender.run.http;
    let at_once = limits.batch.min(most).max(1) as usize;
    let host_of = |asked: &Asked<'_>| sender.client.shared().target(&asked.request.url).ok();
    let mut waiting: VecDeque<(usize, Option<Arc<Target>>)> = requests.iter().map(host_of).enumerate().collect();
    let mut in_flight: Vec<Option<Arc<Target>>> = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut answers: Vec<Option<Result<Answer, Error>>> = requests.iter().map(|_| None).collect();
    let same_host = |one: &Option<Arc<Target>>, other: &Option<Arc<Target>>| match (one, other) {
        (Some(one), Some(other)) => one.same_origin(other),
        _ => false,
    };
    loop {
        while running.len() < at_once {
            let free = |target: &Option<Arc<Target>>| {
                let to_host = in_flight.iter().filter(|other| same_host(target, other)).count();
                limits.batch_per_host == 0 || to_host < limits.batch_per_host as usize
            };
            let Some(at) = waiting.iter().position(|(_, target)| free(target)) else { break };
            let Some((index, target)) = waiting.remove(at) else { break };
            in_flight.push(target.clone());
            running.push(async move { (index, target, sender.send(requests[index]).await) });
        }
        let Some((index, target, answer)) = running.next().await else { break };
        if let Some(at) =
            in_flight.iter().position(|other| same_host(other, &target) || (other.is_none() && target.is_none()))
        {
            in_flight.swap_remove(at);
        }
        answers[index] = Some(answer);
    }
    let never = || Err(Error::Other("the request was not sent".to_owned()));
    answers.into_iter().map(|answer| answer.unwrap_or_else(never)).collect()
}
