//! What users of an API do: log in once, then create, read and run workflows, with pauses to think.
//!
//! `BASE_URL` says where (`squall target` answers everything here), `THINK` scales the pauses: 0 for none.

use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use squall_sdk::http::{self, Request};
use squall_sdk::{
    Error, Options, check, choose, env_or, env_seconds, journey, random_range, sleep, think, vu, weighted,
};

static BASE_URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));
static THINK: LazyLock<f64> = LazyLock::new(|| env_seconds("THINK").map_or(1.0, |scale| scale.as_secs_f64()));

/// What setup hands to every iteration.
#[derive(Serialize, Deserialize)]
struct Session {
    token: String,
}

#[derive(Clone, Copy)]
enum Action {
    Create,
    List,
    Run,
}

/// A page of the list. Fields that nobody needs are not decoded.
#[derive(Deserialize)]
struct Page {
    items: Vec<Workflow>,
}

#[derive(Deserialize)]
struct Workflow {
    id: serde_json::Value,
}

impl Workflow {
    /// The id as it stands in a path, be it a number or a text.
    fn path(&self) -> String {
        let id = self.id.as_str().map_or_else(|| self.id.to_string(), str::to_owned);
        format!("{}/workflows/{id}", *BASE_URL)
    }
}

fn options() -> Options {
    Options::new()
        .vus(20)
        .duration(Duration::from_secs(10))
        .threshold("http_req_duration", "p(95)<500")
        .threshold("http_req_failed", "rate<0.01")
        .threshold("checks", "rate>0.99")
}

fn log_in() -> Result<Session, Error> {
    let answer = Request::post(format!("{}/auth/login", *BASE_URL))
        .json(&json!({ "username": "ada", "password": "correct horse" }))
        .send()?;
    if answer.status() != 200 {
        return Err(Error::new(format!("the login answered {}", answer.status())));
    }
    answer.json()
}

fn use_workflows(session: &Session) -> Result<(), Error> {
    match weighted(&[(30, Action::Create), (50, Action::List), (20, Action::Run)]) {
        Some(Action::Create) => create(session)?,
        Some(Action::List) => drop(list(session)?),
        Some(Action::Run) | None => run(session)?,
    }
    pause();
    Ok(())
}

/// Creates a workflow and reads it back by the id it was given.
fn create(session: &Session) -> Result<(), Error> {
    let name = format!("workflow {} of user {}", vu::iteration(), vu::id());
    let created = Request::post(format!("{}/workflows", *BASE_URL))
        .bearer(&session.token)
        .json(&json!({ "name": name }))
        .send()?;
    if !check!("workflow was created", created.status() == 201) {
        return Ok(());
    }
    let workflow: Workflow = created.json()?;
    pause();
    let read = Request::get(workflow.path()).bearer(&session.token).name("/workflows/{id}").send()?;
    check!("workflow can be read", read.status() == 200);
    Ok(())
}

/// Lists a page of workflows.
fn list(session: &Session) -> Result<Page, Error> {
    let page = random_range(1..4);
    let answer = Request::get(format!("{}/workflows?page={page}&limit=20", *BASE_URL))
        .bearer(&session.token)
        .name("/workflows?page={page}")
        .send()?;
    if !check!("workflows are listed", answer.status() == 200) {
        return Ok(Page { items: Vec::new() });
    }
    answer.json()
}

/// Runs one of the workflows that the list shows, or looks at the dashboard where there is none.
fn run(session: &Session) -> Result<(), Error> {
    let page = list(session)?;
    pause();
    let Some(workflow) = choose(&page.items) else {
        let dashboard = Request::get(format!("{}/analytics/dashboard", *BASE_URL)).bearer(&session.token).send()?;
        check!("dashboard answers", dashboard.status() == 200);
        return Ok(());
    };
    let url = workflow.path() + "/execute";
    let started = Request::post(url).bearer(&session.token).name("/workflows/{id}/execute").send()?;
    check!("workflow was started", started.is_success());
    Ok(())
}

fn pause() {
    if *THINK > 0.0 {
        sleep(think::uniform(Duration::from_millis(500)..Duration::from_millis(1_500)).mul_f64(*THINK));
    }
}

fn log_out(session: &Session) -> Result<(), Error> {
    let profile = Request::get(format!("{}/auth/profile", *BASE_URL)).bearer(&session.token).send()?;
    check!("session is still valid", profile.status() == 200);
    http::get(format!("{}/health", *BASE_URL))?.release();
    Ok(())
}

journey! {
    options: options,
    setup: log_in,
    scenarios: { default: use_workflows },
    teardown: log_out,
}
