//! The workflows that the API people test is about.
//!
//! The store is bounded: a load test creates millions, and the oldest then make room, so that memory stays flat.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

/// How many workflows are kept.
const CAPACITY: usize = 1000;
/// How many there are at the start.
const INITIAL: u64 = 25;

/// The workflows that exist.
#[derive(Debug)]
pub(super) struct Workflows(Mutex<Store>);

/// Workflows in the order of their ids. A deleted one leaves a gap, so that an id leads straight to its place.
#[derive(Debug)]
struct Store {
    places: VecDeque<Option<Workflow>>,
    first_id: u64,
    live: usize,
}

#[derive(Debug)]
struct Workflow {
    fields: Map<String, Value>,
    executions: u64,
}

impl Workflows {
    pub(super) fn new() -> Self {
        let mut store = Store { places: VecDeque::new(), first_id: 1, live: 0 };
        for number in 1..=INITIAL {
            let mut fields = Map::new();
            fields.insert("name".to_owned(), Value::from(format!("workflow {number}")));
            store.add(fields);
        }
        Self(Mutex::new(store))
    }

    /// One page, as `{"items", "page", "limit", "total"}`, the newest first: those live longest, so that what was listed
    /// is still there when it is asked for. Pages count from 1.
    pub(super) fn list(&self, page: usize, limit: usize) -> Value {
        let store = self.store();
        let skipped = page.saturating_sub(1).saturating_mul(limit);
        let newest_first = store.places.iter().enumerate().rev();
        let live = newest_first.filter_map(|(at, place)| Some((store.first_id + at as u64, place.as_ref()?)));
        let items: Vec<Value> = live.skip(skipped).take(limit).map(|(id, workflow)| workflow.to_json(id)).collect();
        json!({ "items": items, "page": page, "limit": limit, "total": store.live })
    }

    /// Adds one and returns it with its id.
    pub(super) fn create(&self, fields: Map<String, Value>) -> (u64, Value) {
        let mut store = self.store();
        let id = store.add(fields);
        (id, store.get(id).map_or(Value::Null, |workflow| workflow.to_json(id)))
    }

    /// Returns one.
    pub(super) fn get(&self, id: u64) -> Option<Value> {
        Some(self.store().get(id)?.to_json(id))
    }

    /// Replaces the fields of one.
    pub(super) fn replace(&self, id: u64, fields: Map<String, Value>) -> Option<Value> {
        let mut store = self.store();
        let workflow = store.get(id)?;
        workflow.fields = fields;
        Some(workflow.to_json(id))
    }

    /// Removes one, and says whether there was one.
    pub(super) fn delete(&self, id: u64) -> bool {
        let mut store = self.store();
        let Some(place) = store.place(id) else {
            return false;
        };
        let found = place.take().is_some();
        store.live -= usize::from(found);
        found
    }

    /// Counts an execution and returns its number.
    pub(super) fn execute(&self, id: u64) -> Option<u64> {
        let mut store = self.store();
        let workflow = store.get(id)?;
        workflow.executions += 1;
        Some(workflow.executions)
    }

    /// How often one was executed.
    pub(super) fn executions(&self, id: u64) -> Option<u64> {
        Some(self.store().get(id)?.executions)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.store().live
    }

    // A panic of another thread can at worst have lost the count of one deletion.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn add(&mut self, fields: Map<String, Value>) -> u64 {
        if self.places.len() == CAPACITY {
            self.live -= usize::from(self.places.pop_front().flatten().is_some());
            self.first_id += 1;
        }
        self.places.push_back(Some(Workflow { fields, executions: 0 }));
        self.live += 1;
        self.first_id + self.places.len() as u64 - 1
    }

    fn place(&mut self, id: u64) -> Option<&mut Option<Workflow>> {
        let index = id.checked_sub(self.first_id)?;
        self.places.get_mut(usize::try_from(index).ok()?)
    }

    fn get(&mut self, id: u64) -> Option<&mut Workflow> {
        self.place(id)?.as_mut()
    }
}

impl Workflow {
    fn to_json(&self, id: u64) -> Value {
        let mut object = Map::new();
        object.insert("id".to_owned(), Value::from(id));
        object.insert("status".to_owned(), Value::from("active"));
        for (name, value) in &self.fields {
            object.entry(name.as_str()).or_insert_with(|| value.clone());
        }
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_ids_go_on() {
        let workflows = Workflows::new();
        let last = (0..2 * CAPACITY).map(|_| workflows.create(Map::new()).0).last();
        assert_eq!(last, Some(INITIAL + 2 * CAPACITY as u64));
        assert_eq!(workflows.count(), CAPACITY);
        assert_eq!(workflows.get(1), None);
        assert!(workflows.get(INITIAL + 2 * CAPACITY as u64).is_some());
    }

    #[test]
    fn a_deleted_one_is_gone_and_the_others_keep_their_ids() {
        let workflows = Workflows::new();
        assert!(workflows.delete(2));
        assert!(!workflows.delete(2));
        assert_eq!(workflows.get(2), None);
        assert_eq!(workflows.get(3).expect("3 was not deleted")["id"], 3);
        let page = workflows.list(1, 2);
        assert_eq!((&page["items"][1]["id"], &page["total"]), (&json!(INITIAL - 1), &json!(INITIAL - 1)));
        assert_eq!(workflows.list(usize::MAX, usize::MAX)["items"], json!([]));
    }

    #[test]
    fn executions_are_counted_for_each() {
        let workflows = Workflows::new();
        assert_eq!(workflows.execute(1), Some(1));
        assert_eq!(workflows.execute(1), Some(2));
        assert_eq!(workflows.executions(2), Some(0));
        assert_eq!(workflows.execute(10_000), None);
    }
}
