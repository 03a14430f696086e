//! The lines below `F accepts O:`.

use super::step::{Operation, ResourceOperation, Task};
use super::words::{WordError, Words};

/// Reads the operations of a block.
///
/// # Errors
///
/// Says what was expected where.
pub fn operations(block: &[String]) -> Result<Vec<Operation>, WordError> {
    let mut list = Vec::new();
    for line in block {
        let mut words = Words::new(line)?;
        match words.word("an operation")?.as_str() {
            "nothing" => {}
            "and" => add_task(&mut list, task(&mut words)?)?,
            "launch" if words.eat("group") => list.push(Operation::LaunchGroup {
                executor: words.word("the name of an executor")?,
                tasks: Vec::new(),
            }),
            "launch" => list.push(Operation::Launch(vec![task(&mut words)?])),
            "operation" => {
                let raw = words.json().ok_or(WordError::End("an operation in JSON"))?;
                list.push(Operation::Raw(raw));
            }
            other => {
                let kind = resource_operation(other)?;
                let pairs = words.pairs();
                list.push(Operation::Resources { kind, pairs });
            }
        }
        words.end()?;
    }
    Ok(list)
}

fn task(words: &mut Words) -> Result<Task, WordError> {
    let id = words.word("the id of a task")?;
    let pairs = words.pairs();
    Ok(Task { id, pairs })
}

fn add_task(list: &mut [Operation], task: Task) -> Result<(), WordError> {
    match list.last_mut() {
        Some(Operation::Launch(tasks) | Operation::LaunchGroup { tasks, .. }) => tasks.push(task),
        _ => return Err(WordError::Left("'and' without a launch before it".to_owned())),
    }
    Ok(())
}

fn resource_operation(word: &str) -> Result<ResourceOperation, WordError> {
    Ok(match word {
        "reserve" => ResourceOperation::Reserve,
        "unreserve" => ResourceOperation::Unreserve,
        "create" => ResourceOperation::Create,
        "destroy" => ResourceOperation::Destroy,
        other => {
            return Err(WordError::Other {
                wanted: "launch, and, reserve, unreserve, create, destroy, operation or nothing",
                found: format!("'{other}'"),
            });
        }
    })
}
