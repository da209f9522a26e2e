//! An answer for who takes it as it is encoded: nothing is decoded, and nothing copied.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::{Instant as Deadline, timeout_at};

use super::{Running, Streaming, Wire};
use crate::protocol::Error;
use crate::protocol::http::{Client, Progress, Request, Response, Target};

impl Client {
    /// Sends a request and waits for the head of the answer. The progress is still known if this future is dropped.
    pub async fn begin_as_is(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        deadline: Deadline,
        progress: &mut Progress,
    ) -> Result<(Response, Streaming), Error> {
        let begun = timeout_at(deadline, self.try_begin(request, target, progress)).await;
        let begun = begun.unwrap_or(Err(Error::Timeout))?;
        self.learn(target, &begun.head);
        Ok(begun.into_streaming(progress.clone()))
    }

    /// Reads what comes next, all that is here, as it is encoded; `None` at the end.
    pub async fn read_as_is(
        &self,
        streaming: &mut Streaming,
        mut deadline: Deadline,
    ) -> Result<Option<Vec<u8>>, Error> {
        if let Some(limit) = self.shared().settings().read_timeout {
            deadline = deadline.min(Deadline::now() + limit);
        }
        let running = &mut *streaming.0;
        if !running.raw.is_empty() {
            return Ok(Some(running.hand_out()));
        }
        let received = timeout_at(deadline, running.receive(self)).await.unwrap_or(Err(Error::Timeout));
        if received.is_err() {
            running.wire = Wire::Done;
        }
        if !received? {
            return Ok(None);
        }
        Ok(Some(running.hand_out()))
    }

    /// The whole body as it is encoded, if all of it has come with its head: then the answer is over.
    pub fn take_whole(&self, streaming: &mut Streaming) -> Option<Vec<u8>> {
        let running = &mut *streaming.0;
        if let Wire::Http1 { decoder, .. } = &running.wire
            && !decoder.is_done()
        {
            return None;
        }
        let is_more = running.receive(self).now_or_never()?.ok()?;
        let is_whole =
            !is_more || running.wire.is_at_end() && matches!(running.receive(self).now_or_never(), Some(Ok(false)));
        is_whole.then(|| running.hand_out())
    }
}

impl Wire {
    /// Whether it is known that nothing more comes.
    fn is_at_end(&self) -> bool {
        match self {
            Self::Http1 { decoder, .. } => decoder.is_done(),
            Self::Stream(incoming) => incoming.is_at_end(),
            Self::Done => true,
        }
    }
}

impl Running {
    /// What came, as it is encoded.
    fn hand_out(&mut self) -> Vec<u8> {
        self.body_length = self.encoded_length;
        self.last = self.newest;
        std::mem::take(&mut self.raw)
    }
}
