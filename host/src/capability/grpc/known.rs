//! What a run knows of methods: read once, whichever VU asks first.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustc_hash::FxHashMap;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::super::Host;
use super::failure::Failed;
use crate::protocol::grpc::reflection::{self, ReflectionError};
use crate::protocol::grpc::schema::{Schema, SchemaError};
use crate::protocol::grpc::{Channel, Head, Status};
use crate::protocol::{Error, Opening};
use crate::wit::grpc;

/// The most that a run keeps: more is read anew each time.
const MOST: usize = 1_000;

/// What a run knows of methods. All its threads share it.
#[derive(Debug, Default)]
pub struct Schemas(Mutex<FxHashMap<Key, Cell>>);

type Read = Result<Arc<Schema>, SchemaError>;
type Cell = Arc<OnceLock<Read>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// `.proto` files by their names.
    Files(Vec<String>),
    /// A set of descriptors by its name.
    Set(String),
    /// What a server says: where it is, what it is called, and the metadata of the question.
    Server(String, String, Vec<(String, String)>),
}

impl Schemas {
    fn cell(&self, key: Key) -> Cell {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&key) {
            return Cell::default();
        }
        Arc::clone(all.entry(key).or_default())
    }
}

impl Host {
    /// Compiles `.proto` files, unless the run has done so already.
    pub(super) async fn learn(&mut self, files: Vec<String>) -> Result<(), Failed> {
        let is_known = |open: &super::Open| files.iter().all(|file| open.loaded.contains(file));
        if files.is_empty() || self.grpc.0.as_deref().is_some_and(is_known) {
            return Ok(());
        }
        let (granted, names) = (Arc::clone(&self.run.files), files.clone());
        let schema = self
            .read_once(Key::Files(files.clone()), move || Schema::compile(&names, &|name| granted.get(name).cloned()))
            .await?;
        self.add_schema(schema);
        self.grpc.0.get_or_insert_default().loaded.extend(files);
        Ok(())
    }

    /// Reads a set of descriptors, unless the run has done so already.
    pub(super) async fn learn_set(&mut self, file: String) -> Result<(), Failed> {
        if self.grpc.0.as_deref().is_some_and(|open| open.loaded.contains(&file)) {
            return Ok(());
        }
        let Some(set) = self.run.files.get(&file).cloned() else {
            let known = self.run.files.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            let file: String = file.chars().take(100).collect();
            return Err(
                Error::InvalidRequest(format!("file `{file}` is not granted to the run; granted: {known}")).into()
            );
        };
        let schema = self.read_once(Key::Set(file.clone()), move || Schema::from_set(&set)).await?;
        self.add_schema(schema);
        self.grpc.0.get_or_insert_default().loaded.push(file);
        Ok(())
    }

    /// Reads something once in a run.
    async fn read_once(
        &self,
        key: Key,
        read: impl FnOnce() -> Result<Schema, SchemaError> + 'static,
    ) -> Result<Arc<Schema>, Failed> {
        let cell = self.run.schemas.cell(key);
        if let Some(known) = cell.get() {
            return Ok(known.clone()?);
        }
        if !self.run.may_send {
            return Err(Error::Denied("nothing may be loaded here".to_owned()).into());
        }
        // Reading takes a deep stack. A VU has one of its own that keeps every page it ever touched, so it is done on the
        // thread's.
        let task = tokio::task::spawn_local(async move { cell.get_or_init(|| read().map(Arc::new)).clone() });
        let read = AbortOnDropHandle::new(task).await;
        Ok(read.map_err(|_| Error::Other("the schema could not be read".to_owned()))??)
    }

    /// Asks a server for its methods, unless the run has done so already.
    pub(super) async fn reflect(
        &self,
        channel: &Channel,
        pairs: &[grpc::Pair],
        deadline: Instant,
    ) -> Result<Arc<Schema>, Failed> {
        let given = pairs.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect();
        let key = Key::Server(channel.destination().to_string(), channel.authority().to_owned(), given);
        let cell = self.run.schemas.cell(key);
        if let Some(known) = cell.get() {
            return Ok(known.clone()?);
        }
        let metadata = self.call_metadata(channel, pairs)?;
        for version in [reflection::V1, reflection::V1ALPHA] {
            let uri = channel.uri(version)?;
            let limit = self.run.http.max_body;
            let head = Head { uri: &uri, metadata: &metadata, deadline: Some(deadline), limit, discard: false };
            let mut opening = Opening::default();
            let Some(open) = &self.grpc.0 else { break };
            let question = async {
                let begun = open.channels.begin(&self.client, channel, &head, &mut opening).await;
                let mut asking = begun.map_err(|error| Failed::from(self.note_denied(error)))?;
                let learned = reflection::ask(&mut asking).await;
                let (sent, received) = asking.claim_bytes();
                self.local.add_bytes(self.scope, self.groups.current(), sent, received);
                Ok::<_, Failed>(learned)
            };
            match question.await? {
                Ok(schema) => return Ok(cell.get_or_init(|| Ok(Arc::new(schema))).clone()?),
                Err(ReflectionError::Unsupported) => {}
                Err(ReflectionError::Ended(Status { cause: Some(cause), .. })) => return Err(cause.into()),
                Err(ReflectionError::Schema(error)) => return Err(error.into()),
                Err(other) => return Err(Failed::NoReflection(other.to_string())),
            }
        }
        Err(Failed::NoReflection(ReflectionError::Unsupported.to_string()))
    }

    /// Knows the methods of a schema from here on.
    pub(super) fn add_schema(&mut self, schema: Arc<Schema>) {
        let open = self.grpc.0.get_or_insert_default();
        open.schemas.retain(|known| !Arc::ptr_eq(known, &schema));
        open.schemas.push(schema);
        for connection in &mut open.connections {
            connection.methods.clear();
        }
    }
}
