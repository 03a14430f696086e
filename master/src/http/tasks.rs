//! `/tasks`: tasks of all frameworks, page by page.

use std::cmp::Ordering;

use libprocess::http::media::plain;
use libprocess::{Request, Response};
use mesos::json::write_object;
use mesos_master_core::{Framework, Master, Task};
use mesos_proto::v0::mesos::Task as TaskMessage;

use super::render::task::task;

/// Tasks on a page unless the query says otherwise.
const LIMIT: usize = 100;

/// What the query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    limit: usize,
    offset: usize,
    ascending: bool,
    framework: Option<String>,
    task: Option<String>,
}

impl Page {
    /// Reads the query.
    ///
    /// # Errors
    ///
    /// 400 for a `limit` or `offset` that is no number.
    pub fn parse(request: &Request) -> Result<Self, Response> {
        let number = |key: &str, default: usize| match request.query.get(key) {
            None => Ok(default),
            Some(text) => text
                .parse::<usize>()
                .map_err(|_| plain(400, format!("parameter {key}='{text}' is no count"))),
        };
        Ok(Self {
            limit: number("limit", LIMIT)?,
            offset: number("offset", 0)?,
            ascending: request.query.get("order").is_some_and(|order| order == "asc"),
            framework: request.query.get("framework_id").cloned(),
            task: request.query.get("task_id").cloned(),
        })
    }
}

/// The JSON document.
#[must_use]
pub fn render(core: &Master, page: &Page) -> String {
    let frameworks = core.frameworks().values().chain(core.completed_frameworks().iter());
    let selected = frameworks.filter(|own| page.framework.as_ref().is_none_or(|wanted| wanted == own.id().as_str()));
    let mut tasks: Vec<TaskMessage> = selected
        .flat_map(tasks_of)
        .filter(|own| page.task.as_ref().is_none_or(|wanted| wanted == own.id().as_str()))
        .map(Task::message)
        .collect();
    tasks.sort_by(|left, right| {
        let order = first_time(left)
            .partial_cmp(&first_time(right))
            .unwrap_or(Ordering::Equal);
        if page.ascending { order } else { order.reverse() }
    });
    let shown = tasks.into_iter().skip(page.offset).take(page.limit);
    let mut json = String::with_capacity(1024);
    write_object(&mut json, |object| {
        object.array("tasks", shown, |json, own| task(json, &own));
    });
    json
}

/// All tasks of a framework: live, unreachable and ended ones.
pub fn tasks_of(framework: &Framework) -> impl Iterator<Item = &Task> {
    let live = framework.tasks().values();
    let unreachable = framework.unreachable_tasks().iter().map(|(_, own)| own);
    let completed = framework.completed_tasks().iter().map(|own| &**own);
    live.chain(unreachable).chain(completed)
}

/// When the first update came; none counts as earliest.
fn first_time(task: &TaskMessage) -> f64 {
    task.statuses
        .first()
        .map_or(0.0, mesos_proto::v0::mesos::TaskStatus::timestamp)
}

#[cfg(test)]
mod tests {
    use libprocess::http::Method;

    use super::*;

    #[test]
    fn pages_have_defaults_and_refuse_what_is_no_count() {
        let mut request = Request::new(Method::GET, "/tasks");
        let page = Page::parse(&request).expect("defaults");
        assert_eq!((page.limit, page.offset, page.ascending), (100, 0, false));
        request.query.insert("order".to_owned(), "asc".to_owned());
        request.query.insert("limit".to_owned(), "1".to_owned());
        let page = Page::parse(&request).expect("valid");
        assert_eq!((page.limit, page.ascending), (1, true));
        request.query.insert("offset".to_owned(), "x".to_owned());
        assert_eq!(Page::parse(&request).expect_err("refused").status.as_u16(), 400);
    }
}
